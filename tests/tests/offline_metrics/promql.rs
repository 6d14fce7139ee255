//! What an expression asks for, and whether that is there.

use promql_parser::label::MatchOp;
use promql_parser::parser::{Expr, VectorSelector, parse};
use promql_parser::util::{ExprVisitor, walk_expr};
use std::collections::{BTreeMap, BTreeSet};

type Samples = BTreeMap<String, Vec<BTreeMap<String, String>>>;

#[derive(Default)]
struct Asked {
    selectors: Vec<VectorSelector>,
    grouping: BTreeSet<String>,
}

impl ExprVisitor for Asked {
    type Error = std::convert::Infallible;

    fn pre_visit(&mut self, expression: &Expr) -> Result<bool, Self::Error> {
        match expression {
            Expr::VectorSelector(selector) => self.selectors.push(selector.clone()),
            Expr::MatrixSelector(matrix) => self.selectors.push(matrix.vs.clone()),
            Expr::Aggregate(aggregate) => {
                if let Some(modifier) = &aggregate.modifier {
                    self.grouping.extend(modifier.labels().labels.clone());
                }
            }
            _ => {}
        }
        Ok(true)
    }
}

fn asked(expression: &str) -> Result<Asked, String> {
    let expression = parse(expression)?;
    let mut asked = Asked::default();
    match walk_expr(&mut asked, &expression) {
        Ok(_) => Ok(asked),
        Err(never) => match never {},
    }
}

/// Labels that the expression groups by.
pub fn grouping(expression: &str) -> BTreeSet<String> {
    asked(expression).unwrap().grouping
}

/// Metrics that the expression selects.
pub fn selected(expression: &str) -> Vec<String> {
    let asked = asked(expression).unwrap();
    let names = asked.selectors.into_iter().filter_map(|one| one.name);
    names.collect()
}

/// What is wrong with it.
pub fn check(expression: &str, there: &Samples) -> Vec<String> {
    let asked = match asked(expression) {
        Ok(asked) => asked,
        Err(error) => return vec![error],
    };
    let mut wrong = Vec::new();
    let mut labels = BTreeSet::new();
    for selector in &asked.selectors {
        let name = selector.name.as_deref().unwrap_or_default();
        let Some(samples) = there.get(name) else {
            wrong.push(format!("there is no {name:?}"));
            continue;
        };
        labels.extend(samples.iter().flat_map(BTreeMap::keys).cloned());
        for matcher in &selector.matchers.matchers {
            let values = samples.iter().filter_map(|one| one.get(&matcher.name));
            let values: BTreeSet<&str> = values.map(String::as_str).collect();
            let wanted: Vec<&str> = match &matcher.op {
                MatchOp::Equal => vec![&matcher.value],
                MatchOp::Re(_) => matcher.value.split('|').collect(),
                MatchOp::NotEqual | MatchOp::NotRe(_) => Vec::new(),
            };
            if values.is_empty() {
                wrong.push(format!("{name} has no label {}", matcher.name));
            } else if let Some(value) = wanted.iter().find(|value| !values.contains(**value)) {
                wrong.push(format!(
                    "{name}: {} is never {value}, but {values:?}",
                    matcher.name
                ));
            }
        }
    }
    if wrong.is_empty() {
        let unknown = asked.grouping.difference(&labels);
        wrong.extend(unknown.map(|label| format!("nothing has the label {label} to group by")));
    }
    wrong
}
