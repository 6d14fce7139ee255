//! What the last numbers were given for.
//!
//! A number whose audit event never comes is a gap in the record, and the event would have
//! said what was written. So the witness remembers it, in 128 bytes a number and 32 MiB in
//! all: what the audit event must agree with as a hash, and the texts as far as they fit.
//! The newest numbers push out the oldest; of those the gap has no name.

use docket_record::numbers::{Hook, NumberedReview, RequestKey};
use docket_record::review::Review;
use docket_record::testimony::Bound;
use jiff::Timestamp;
use ring::digest::{SHA256, digest};
use std::mem::size_of;
use std::sync::Mutex;

/// Memory for all of them.
const BYTES: usize = 32 << 20;
/// Numbers in one piece of it; pieces are made when they are needed.
const PIECE: usize = 1024;
const PIECES: usize = BYTES / (PIECE * size_of::<Slot>());
/// Texts of one number, in bytes.
const TEXT: usize = 91;
/// Longest name of a namespace: it is kept whole or not at all.
const NAMESPACE: usize = 63;
/// Longest group, resource or subresource that is kept.
const KIND: usize = 253;
/// Kinds that are told apart; of what comes beyond them the resource is not remembered.
const KINDS: usize = 255;
/// Appended to a text that was cut.
const CUT: char = '…';

/// Bits of [`Slot::bits`]; the lowest two are the operation's.
const FINAL: u8 = 1 << 2;
const NAME_CUT: u8 = 1 << 3;
const USER_CUT: u8 = 1 << 4;
const OPERATIONS: [&str; 4] = ["", "CREATE", "UPDATE", "DELETE"];

/// One number.
#[derive(Clone, Copy)]
struct Slot {
    /// 0: nothing is here.
    number: u64,
    /// Microseconds since the epoch.
    time: i64,
    request: [u8; 16],
    /// Index of the kind; [`KINDS`] if it is not remembered.
    kind: u8,
    bits: u8,
    /// Lengths of namespace, name and user, which follow one another in `text`.
    lengths: [u8; 3],
    text: [u8; TEXT],
}

const _: () = assert!(size_of::<Slot>() == 128);

impl Slot {
    const EMPTY: Slot = Slot {
        number: 0,
        time: 0,
        request: [0; 16],
        kind: 0,
        bits: 0,
        lengths: [0; 3],
        text: [0; TEXT],
    };
}

/// What is remembered of the last numbers of this process.
#[derive(Default)]
pub struct Numbered {
    /// Held for a copy of one slot, never across an await.
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    pieces: Vec<Option<Box<[Slot]>>>,
    kinds: Vec<[Box<str>; 3]>,
    remembered: usize,
}

impl Numbered {
    /// Remembers what `number` is given for. `bound` is what its testimony binds.
    pub fn remember(
        &self,
        number: u64,
        hook: Hook,
        time: Timestamp,
        review: &Review<'_>,
        bound: &Bound<'_>,
    ) {
        let mut slot = Slot {
            number,
            time: time.as_microsecond(),
            request: request(review, bound).0,
            ..Slot::EMPTY
        };
        let operation = OPERATIONS.iter().position(|one| *one == review.operation);
        slot.bits = u8::try_from(operation.unwrap_or_default()).unwrap_or_default();
        if hook == Hook::Final {
            slot.bits |= FINAL;
        }
        texts(&mut slot, review);
        let mut inner = crate::witness::lock(&self.inner);
        slot.kind = inner.kind(review);
        if inner.pieces.is_empty() {
            inner.pieces.resize_with(PIECES, || None);
        }
        let (piece, at) = place(number);
        let Some(piece) = inner.pieces.get_mut(piece) else {
            return;
        };
        let piece = piece.get_or_insert_with(|| vec![Slot::EMPTY; PIECE].into_boxed_slice());
        // A number that was held up for a whole round must not push out a newer one.
        if let Some(there) = piece.get_mut(at).filter(|there| there.number < number) {
            let new = there.number == 0;
            *there = slot;
            inner.remembered += usize::from(new);
        }
    }

    /// What is remembered of a number.
    pub fn get(&self, number: u64) -> Option<NumberedReview> {
        let inner = crate::witness::lock(&self.inner);
        let (piece, at) = place(number);
        let slot = inner.pieces.get(piece)?.as_ref()?.get(at)?;
        if number == 0 || slot.number != number {
            return None;
        }
        let [group, resource, subresource] = inner
            .kinds
            .get(usize::from(slot.kind))
            .map(|kind| kind.each_ref().map(|part| part.to_string()))
            .unwrap_or_default();
        let [namespace, name, user] = spans(slot.lengths).map(|span| {
            let bytes = slot.text.get(span).unwrap_or_default();
            String::from_utf8_lossy(bytes).into_owned()
        });
        let marked = |mut text: String, bit: u8| {
            if slot.bits & bit != 0 {
                text.push(CUT);
            }
            text
        };
        Some(NumberedReview {
            number,
            hook: if slot.bits & FINAL == 0 {
                Hook::Witness
            } else {
                Hook::Final
            },
            time: Timestamp::from_microsecond(slot.time).ok()?,
            request: RequestKey(slot.request),
            operation: OPERATIONS[usize::from(slot.bits & 3)].to_owned(),
            group,
            resource,
            subresource,
            namespace,
            name: marked(name, NAME_CUT),
            user: marked(user, USER_CUT),
        })
    }

    /// Numbers remembered now.
    pub fn len(&self) -> usize {
        crate::witness::lock(&self.inner).remembered
    }
}

impl Inner {
    fn kind(&mut self, review: &Review<'_>) -> u8 {
        let kind = [&*review.group, &*review.resource, &*review.subresource];
        let same = |known: &[Box<str>; 3]| known.iter().map(|part| &**part).eq(kind);
        let at = self.kinds.iter().position(same).unwrap_or_else(|| {
            let long = kind.iter().any(|part| part.len() > KIND);
            if long || self.kinds.len() >= KINDS {
                return KINDS;
            }
            self.kinds.push(kind.map(Box::from));
            self.kinds.len() - 1
        });
        u8::try_from(at).unwrap_or(u8::MAX)
    }
}

/// Piece and place in it.
fn place(number: u64) -> (usize, usize) {
    let at = usize::try_from(number % (PIECES * PIECE) as u64).unwrap_or_default();
    (at / PIECE, at % PIECE)
}

/// The event of a create with generateName never learns the name.
fn request(review: &Review<'_>, bound: &Bound<'_>) -> RequestKey {
    if review.generated_name().is_empty() {
        return RequestKey::of(bound);
    }
    let mut nameless = bound.clone();
    nameless
        .name_sha256
        .copy_from_slice(digest(&SHA256, b"").as_ref());
    RequestKey::of(&nameless)
}

/// Namespace whole, name and user as far as they fit: what one does not need is the other's.
fn texts(slot: &mut Slot, review: &Review<'_>) {
    let namespace = Some(&*review.namespace).filter(|name| name.len() <= NAMESPACE);
    let namespace = namespace.unwrap_or_default();
    let left = TEXT - namespace.len();
    let (name, user) = (&*review.name, &*review.username);
    let for_name = left.saturating_sub(user.len()).max(left / 2);
    let name_kept = &name[..name.floor_char_boundary(for_name)];
    let user_kept = &user[..user.floor_char_boundary(left - name_kept.len())];
    if name_kept.len() < name.len() {
        slot.bits |= NAME_CUT;
    }
    if user_kept.len() < user.len() {
        slot.bits |= USER_CUT;
    }
    let kept = [namespace, name_kept, user_kept];
    slot.lengths = kept.map(|text| u8::try_from(text.len()).unwrap_or_default());
    for (span, text) in spans(slot.lengths).into_iter().zip(kept) {
        if let Some(room) = slot.text.get_mut(span) {
            room.copy_from_slice(text.as_bytes());
        }
    }
}

fn spans(lengths: [u8; 3]) -> [std::ops::Range<usize>; 3] {
    let mut from = 0;
    lengths.map(|length| {
        let span = from..from + usize::from(length);
        from = span.end;
        span
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time() -> Timestamp {
        Timestamp::from_second(1_800_000_000).unwrap()
    }

    fn review(namespace: &str, name: &str, user: &str) -> Review<'static> {
        Review {
            operation: "CREATE".into(),
            group: "krate.a5c.ai".into(),
            resource: "pullrequests".into(),
            namespace: namespace.to_owned().into(),
            name: name.to_owned().into(),
            username: user.to_owned().into(),
            ..Review::default()
        }
    }

    fn remember(numbered: &Numbered, number: u64, review: &Review<'_>) {
        let bound = review.bound("c", docket_record::testimony::WITNESS);
        numbered.remember(number, Hook::Witness, time(), review, &bound);
    }

    #[test]
    fn what_a_number_was_given_for_is_remembered() {
        let numbered = Numbered::default();
        let account = "system:serviceaccount:krate-system:krate-api";
        let one = review("krate-org-acme", "fix-the-login-page", account);
        remember(&numbered, 1, &one);
        let known = numbered.get(1).unwrap();
        assert_eq!((known.number, known.hook), (1, Hook::Witness));
        assert_eq!(known.time, time());
        assert_eq!(
            (known.operation.as_str(), known.group.as_str()),
            ("CREATE", "krate.a5c.ai")
        );
        assert_eq!(known.resource, "pullrequests");
        assert_eq!(known.namespace, "krate-org-acme");
        assert_eq!(known.name, "fix-the-login-page");
        assert_eq!(known.user, account);
        let bound = one.bound("c", docket_record::testimony::FINAL);
        assert_eq!(known.request, RequestKey::of(&bound));
        assert_eq!(numbered.get(2), None);
        assert_eq!(numbered.get(0), None);
        assert_eq!(numbered.len(), 1);
    }

    #[test]
    fn long_texts_are_cut_and_say_so_and_a_namespace_is_whole_or_not_there() {
        let numbered = Numbered::default();
        let long = "ü".repeat(200_000);
        remember(&numbered, 1, &review("a", &long, "ann"));
        remember(&numbered, 2, &review("a", "pr-1", &long));
        remember(&numbered, 3, &review("a", &long, &long));
        remember(&numbered, 4, &review(&long, "pr-1", "ann"));
        let get = |number| numbered.get(number).unwrap();
        assert_eq!(get(1).user, "ann");
        assert!(get(1).name.len() > 80 && get(1).name.ends_with("ü…"));
        assert_eq!(get(2).name, "pr-1");
        assert!(get(2).user.len() > 80 && get(2).user.ends_with("ü…"));
        assert!(get(3).name.len() > 40 && get(3).user.len() > 40);
        assert_eq!(
            (get(4).namespace.as_str(), get(4).name.as_str()),
            ("", "pr-1")
        );
        // The hashes are of the whole.
        assert_ne!(get(1).request, get(3).request);
    }

    #[test]
    fn a_generated_name_is_told_and_not_hashed() {
        let numbered = Numbered::default();
        let body = br#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{
            "uid":"u","name":"pr-x7k2p","operation":"CREATE","userInfo":{"username":"ann"},
            "resource":{"group":"krate.a5c.ai","resource":"pullrequests"},"namespace":"a",
            "object":{"metadata":{"generateName":"pr-","name":"pr-x7k2p"}}}}"#;
        let made = Review::parse(body).unwrap();
        remember(&numbered, 1, &made);
        remember(&numbered, 2, &review("a", "", "ann"));
        let known = numbered.get(1).unwrap();
        assert_eq!(known.name, "pr-x7k2p");
        assert_eq!(known.request, numbered.get(2).unwrap().request);
    }

    #[test]
    fn the_newest_numbers_push_out_the_oldest_and_memory_stays_within_its_bound() {
        let numbered = Numbered::default();
        let all = (PIECES * PIECE) as u64;
        assert_eq!(PIECES * PIECE * size_of::<Slot>(), BYTES);
        let one = review("a", "b", "c");
        for number in 1..=all + 10 {
            remember(&numbered, number, &one);
        }
        assert_eq!(numbered.len(), PIECES * PIECE);
        assert_eq!(numbered.get(10), None);
        assert!(numbered.get(11).is_some() && numbered.get(all + 10).is_some());
        // One that comes a whole round late.
        remember(&numbered, 10, &one);
        assert_eq!(numbered.get(10), None);
        assert!(numbered.get(all + 10).is_some());
    }

    #[test]
    fn more_kinds_than_are_told_apart_cost_their_resource_only() {
        let numbered = Numbered::default();
        for n in 0..KINDS as u64 + 10 {
            let mut one = review("a", "b", "c");
            one.resource = format!("kind{n}").into();
            remember(&numbered, n + 1, &one);
        }
        assert_eq!(numbered.get(1).unwrap().resource, "kind0");
        let beyond = numbered.get(KINDS as u64 + 5).unwrap();
        assert_eq!((beyond.resource.as_str(), beyond.name.as_str()), ("", "b"));
        let mut long = review("a", "b", "c");
        long.resource = "r".repeat(100_000).into();
        remember(&numbered, 1_000, &long);
        assert_eq!(numbered.get(1_000).unwrap().resource, "");
    }
}
