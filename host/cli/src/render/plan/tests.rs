use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema};
use domain::job::Casts;
use domain::port::{self, CommitMode, Prepared, Wishes};

use super::*;

fn one_column(name: &str, data_type: DataType) -> Dataset {
    let schema = Arc::new(Schema::new(vec![Field::new("amount", data_type, true)]));
    Dataset { path: vec![name.into()], schema, primary_key: vec![], metadata: vec![] }
}

fn preview() -> Preview {
    let from = one_column("orders", DataType::Float64);
    let to = one_column("out", DataType::Int32);
    let pair = ColumnCast {
        from: Arc::clone(&from.schema.fields()[0]),
        to: Arc::clone(&to.schema.fields()[0]),
        cast: Cast::Lossy,
        rule: Casts::Exact,
    };
    let split = Split {
        token: vec![],
        label: "orders-1.csv".into(),
        stage: 0,
        rows_estimate: None,
        bytes_estimate: Some(2048),
    };
    let source = PreviewedSource {
        name: None,
        plan: port::Plan { datasets: vec![from.clone()], bounded: true, start: vec![] },
        splits: vec![split; 12],
        splits_complete: false,
    };
    Preview {
        sources: vec![source],
        datasets: vec![from],
        notes: vec![],
        prepared: Prepared {
            datasets: vec![to],
            commit_mode: CommitMode::Staged,
            wishes: Wishes::default(),
        },
        between: vec![vec![]],
        columns: vec![vec![pair]],
    }
}

#[test]
fn a_plan_marks_lossy_casts() {
    let preview = preview();
    let plan = Plan {
        preview: &preview,
        transformers: &[],
        grants: &[],
        clock: "now",
        notes: &[],
        warnings: vec![],
    };
    let text = text(&plan);
    let (head, tail) = text.split_at(text.find("  split").unwrap());
    assert_eq!(
        head,
        "\
clock: now
dataset: orders -> out
  from    type     to      type   cast
  amount  Float64  amount  Int32  ! lossy, refused
splits: 12, and more as the run goes
"
    );
    assert!(tail.ends_with("  and 2 others\ncommit: staged\n"), "{tail}");
    let object = json(&plan);
    let pair = &object["datasets"][0]["columns"][0];
    assert_eq!((&pair["cast"], &pair["allowed"]), (&json!("lossy"), &json!(false)));
    assert_eq!(object["splits"].as_array().unwrap().len(), 12);
}

#[test]
fn a_plan_lists_tables_by_source() {
    let mut preview = preview();
    preview.sources[0].name = Some("a".into());
    preview.sources.push(preview.sources[0].clone());
    preview.sources[1].name = Some("b".into());
    let tables = ("tables".to_owned(), "orders_1, orders_2".to_owned());
    preview.sources[1].plan.datasets[0].metadata.push(tables);
    let notes = ["b answers".to_owned()];
    let plan = Plan {
        preview: &preview,
        transformers: &[],
        grants: &[],
        clock: "now",
        notes: &notes,
        warnings: vec![],
    };
    let text = text(&plan);
    let listed = "sources: 2\n  source  tables\n  a       orders\n  b       orders_1, orders_2\n";
    for part in [listed, "splits: 24, and more", "  a: orders-1.csv", "note: b answers\n"] {
        assert!(text.contains(part), "{text}");
    }
    let object = json(&plan);
    assert_eq!(object["sources"][1]["name"], "b");
    assert_eq!(
        (&object["splits"][0]["source"], &object["splits"][23]["source"]),
        (&json!("a"), &json!("b"))
    );
}
