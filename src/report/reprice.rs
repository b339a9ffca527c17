//! What new prices change: a table for people, JSON and CSV for programs.

use serde_json::{Map, Value, json};

use crate::base::money::Nanodollars;
use crate::report::usage::{aligned, counted, dollars, field, stamp};
use crate::report::words::count;
use crate::store::reprice::{Change, Changes};

/// What was priced, and whether that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repriced {
    pub changes: Changes,
    /// In seconds since 1970.
    pub window: (i64, i64),
    pub written: bool,
}

impl Repriced {
    fn total(&self) -> Change {
        let mut total = Change::default();
        for change in self.changes.values() {
            total.plus(change);
        }
        total
    }
}

const HEADS: [&str; 5] = ["answers", "changed", "gained", "unpriced", "kept"];

fn counts(change: &Change) -> [u64; 5] {
    [change.answers, change.changed, change.gained, change.unpriced, change.kept]
}

fn difference(change: &Change) -> i64 {
    change.after_nanousd.saturating_sub(change.before_nanousd)
}

/// The table, its total last.
pub fn table(repriced: &Repriced) -> String {
    let heads = ["provider", "model"].into_iter().chain(HEADS);
    let mut rows: Vec<Vec<String>> =
        vec![heads.chain(["before", "after", "difference"]).map(str::to_owned).collect()];
    let mut push = |provider: &str, model: &str, change: &Change| {
        let mut row = vec![provider.to_owned(), model.to_owned()];
        row.extend(counts(change).map(|number| count(signed(number))));
        row.push(dollars(change.before_nanousd));
        row.push(dollars(change.after_nanousd));
        row.push(dollars(difference(change)));
        rows.push(row);
    };
    for ((provider, model), change) in &repriced.changes {
        push(provider, model, change);
    }
    push("total", "", &repriced.total());
    aligned(&rows, 2)
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// What the numbers do not say by themselves.
pub fn notes(repriced: &Repriced) -> Vec<String> {
    let (total, (since_s, until_s)) = (repriced.total(), repriced.window);
    let mut notes = vec![format!("from {} to {}", stamp(since_s), stamp(until_s))];
    if total.kept > 0 {
        notes.push(counted(
            signed(total.kept),
            "answer keeps the cost it had: the price lists have none for it now",
            "answers keep the cost they had: the price lists have none for them now",
        ));
    }
    if total.unpriced > 0 {
        let unpriced = signed(total.unpriced);
        notes.push(counted(unpriced, "answer still has no price", "answers still have no price"));
    }
    notes.push(if repriced.written {
        "written; sums of rows that are no longer stored stay as they were".to_owned()
    } else {
        "nothing was written; give --yes to write these prices".to_owned()
    });
    notes
}

/// One object a line: models, then the total with the window.
pub fn ndjson(repriced: &Repriced) -> Vec<String> {
    let mut lines = Vec::with_capacity(repriced.changes.len() + 1);
    for ((provider, model), change) in &repriced.changes {
        let mut object = Map::new();
        object.insert("kind".to_owned(), "model".into());
        object.insert("provider".to_owned(), provider.as_str().into());
        object.insert("model".to_owned(), model.as_str().into());
        object.extend(numbers(change));
        lines.push(Value::Object(object).to_string());
    }
    let mut total = Map::new();
    total.insert("kind".to_owned(), "total".into());
    total.extend(numbers(&repriced.total()));
    total.insert("since".to_owned(), stamp(repriced.window.0).into());
    total.insert("until".to_owned(), stamp(repriced.window.1).into());
    total.insert("written".to_owned(), repriced.written.into());
    lines.push(Value::Object(total).to_string());
    lines
}

fn numbers(change: &Change) -> Map<String, Value> {
    let counted = HEADS.into_iter().zip(counts(change));
    let mut object: Map<String, Value> =
        counted.map(|(head, number)| (head.to_owned(), json!(number))).collect();
    for (name, nano) in [("before", change.before_nanousd), ("after", change.after_nanousd)] {
        object.insert(format!("{name}_nanousd"), nano.into());
        object.insert(format!("{name}_usd"), Nanodollars(nano).usd().into());
    }
    object
}

/// RFC 4180, with a head; a line a model, and no total.
pub fn csv(repriced: &Repriced) -> String {
    let mut text = "provider,model,".to_owned();
    text.push_str(&HEADS.join(","));
    text.push_str(",before_usd,after_usd\r\n");
    for ((provider, model), change) in &repriced.changes {
        let mut fields = vec![field(provider), field(model)];
        fields.extend(counts(change).map(|number| number.to_string()));
        let costs = [change.before_nanousd, change.after_nanousd];
        fields.extend(costs.map(|nano| Nanodollars(nano).to_string()));
        text.push_str(&fields.join(","));
        text.push_str("\r\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_forms_have_the_same_numbers() {
        let change = Change {
            answers: 12,
            changed: 7,
            gained: 2,
            unpriced: 1,
            kept: 3,
            before_nanousd: 1_500_000_000,
            after_nanousd: 2_000_000_000,
        };
        let changes = [(("openai".to_owned(), "gpt-5".to_owned()), change)].into();
        let mut repriced = Repriced { changes, window: (0, 3_600), written: false };
        assert_eq!(
            table(&repriced),
            "provider  model  answers  changed  gained  unpriced  kept  before  after  difference\n\
             openai    gpt-5       12        7       2         1     3   $1.50  $2.00     $0.5000\n\
             total                 12        7       2         1     3   $1.50  $2.00     $0.5000"
        );
        assert_eq!(
            csv(&repriced),
            "provider,model,answers,changed,gained,unpriced,kept,before_usd,after_usd\r\n\
             openai,gpt-5,12,7,2,1,3,1.50,2.00\r\n"
        );
        let lines = ndjson(&repriced);
        let numbers = r#""answers":12,"changed":7,"gained":2,"unpriced":1,"kept":3,"before_nanousd":1500000000,"before_usd":1.5,"after_nanousd":2000000000,"after_usd":2.0"#;
        assert_eq!(
            lines[0],
            format!(r#"{{"kind":"model","provider":"openai","model":"gpt-5",{numbers}}}"#)
        );
        assert!(
            lines[1].contains(numbers) && lines[1].ends_with(r#""written":false}"#),
            "{lines:?}"
        );
        let told = notes(&repriced);
        assert_eq!(told.len(), 4, "{told:?}");
        assert!(told[3].contains("--yes"), "{told:?}");
        repriced.written = true;
        assert!(notes(&repriced)[3].starts_with("written"), "{told:?}");
    }
}
