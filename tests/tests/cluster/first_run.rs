//! The first run's day at court, against a plane of its own: its policies hold for all
//! namespaces.

use docket_tests::{ControlPlane, Options, day, on_shared_runtime};
use http::Method;

#[test]
fn the_first_run_leaves_each_denial_on_record_once_and_nothing_else() {
    on_shared_runtime(async {
        let plane = ControlPlane::start(Options::default()).await?;
        plane.apply_policies(&day::policies()?).await?;
        let mut done = Vec::new();
        for step in day::writes() {
            done.push(day::perform(&plane, step).await?);
        }
        let records = day::records(&plane, &done).await?;
        let verdict = day::check(&done, &records);
        assert_eq!(verdict.wrong, Vec::<String>::new());
        assert_eq!((verdict.right, verdict.admitted), (13, 8));
        let steps: Vec<day::Step> = done.iter().map(|done| done.step.clone()).collect();
        let settled = day::next::settled(&plane, &steps).await?;
        day::next::audited(&plane).await?;
        assert_eq!(day::next::faults(&steps, &settled), Vec::<String>::new());

        // Every governed event came, so no number is missing, and the ledger proves whole.
        let gaps = format!("{}/api/gaps", plane.docket_url());
        let token = plane.token(docket_tests::users::AUDITOR)?;
        let gaps = plane
            .http()
            .call(Method::GET, gaps)
            .token(&token)
            .send()
            .await?;
        assert_eq!(gaps.accepted()?.body["items"], serde_json::json!([]));
        let verified = plane.docket(&["verify"]).await?;
        assert!(
            verified.status.success(),
            "{}",
            String::from_utf8_lossy(&verified.stdout)
        );
        plane.stop();
        Ok(())
    });
}
