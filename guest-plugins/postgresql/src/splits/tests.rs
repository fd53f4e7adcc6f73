use super::*;

fn conditions(cut: &Cut) -> Vec<String> {
    let condition = |index| cut.share(index).condition.unwrap_or_else(|| "true".into());
    (0..cut.count()).map(condition).collect()
}

fn labels(cut: &Cut) -> Vec<String> {
    (0..cut.count()).map(|index| cut.share(index).label).collect()
}

fn key(column: &str, sql_type: &str) -> Key {
    Key { column: column.into(), sql_type: sql_type.into(), is_integer: sql_type == "bigint" }
}

fn points(values: &[&str]) -> Vec<Point> {
    values.iter().map(|value| Point { value: (*value).into(), hot: None }).collect()
}

#[test]
fn even_ranges_touch_each_other_and_are_open_at_the_ends() {
    let cut = Cut::Even { column: "id".into(), low: 1, high: 10, count: 3 };
    assert_eq!(
        conditions(&cut),
        ["\"id\" < '4'", "\"id\" >= '4' AND \"id\" < '7'", "\"id\" >= '7'", "\"id\" IS NULL"]
    );
    assert_eq!(labels(&cut), ["id up to 3", "id 4 to 6", "id from 7", "id is null"]);
    let all = Cut::Even { column: "id".into(), low: i64::MIN, high: i64::MAX, count: 2 };
    assert_eq!(conditions(&all), ["\"id\" < '0'", "\"id\" >= '0'", "\"id\" IS NULL"]);
    let one = Cut::Even { column: "id".into(), low: 5, high: 5, count: 1 };
    assert_eq!(conditions(&one), ["\"id\" IS NOT NULL", "\"id\" IS NULL"]);
}

#[test]
fn pages_and_borders_become_conditions() {
    let pages = Cut::Pages { pages: 10, count: 2 };
    assert_eq!(conditions(&pages), ["ctid < '(5,0)'::tid", "ctid >= '(5,0)'::tid"]);
    let cut = Cut::Key(KeyCut {
        key: key("k", "text"),
        points: points(&["it's", "m"]),
        nulls: Some(Vec::new()),
        second: Second::Nothing,
    });
    assert_eq!(
        conditions(&cut),
        [
            "\"k\" < 'it''s'::text",
            "\"k\" >= 'it''s'::text AND \"k\" < 'm'::text",
            "\"k\" >= 'm'::text",
            "\"k\" IS NULL",
        ]
    );
    assert_eq!(
        labels(&cut),
        ["k, range 1 of 3", "k, range 2 of 3", "k, range 3 of 3", "k is null"]
    );
}

#[test]
fn a_value_of_many_rows_is_cut_by_a_second_key() {
    let mut points = points(&["3", "5", "9"]);
    points[1].hot = Some(vec!["10".into(), "20".into()]);
    let cut = KeyCut {
        key: key("k", "bigint"),
        points,
        nulls: Some(vec!["7".into()]),
        second: Second::Key(key("id", "integer")),
    };
    let pages = KeyCut { second: Second::Pages, ..cut.clone() };
    let cut = Cut::Key(cut);
    assert_eq!(
        conditions(&cut),
        [
            "\"k\" < '3'::bigint",
            "\"k\" >= '3'::bigint AND \"k\" < '5'::bigint",
            "\"k\" = '5'::bigint AND \"id\" < '10'::integer",
            "\"k\" = '5'::bigint AND \"id\" >= '10'::integer AND \"id\" < '20'::integer",
            "\"k\" = '5'::bigint AND \"id\" >= '20'::integer",
            "\"k\" > '5'::bigint AND \"k\" < '9'::bigint",
            "\"k\" >= '9'::bigint",
            "\"k\" IS NULL AND \"id\" < '7'::integer",
            "\"k\" IS NULL AND \"id\" >= '7'::integer",
        ]
    );
    assert_eq!(
        labels(&cut)[2..6],
        ["k = 5, part 1 of 3", "k = 5, part 2 of 3", "k = 5, part 3 of 3", "k 6 to 8"]
    );
    let pages = Cut::Key(pages);
    assert_eq!(
        conditions(&pages)[3],
        "\"k\" = '5'::bigint AND ctid >= '(10,0)'::tid AND ctid < '(20,0)'::tid"
    );
    let is_pages: Vec<_> = (0..pages.count()).map(|index| pages.share(index).is_pages).collect();
    assert_eq!(is_pages, [false, false, true, true, true, false, false, true, true]);
}

#[test]
fn shares_are_handed_out_as_they_are_asked_for() {
    let cut = Cut::Even { column: "id".into(), low: 0, high: 998, count: 999 };
    let mut at =
        Shares { cut, snapshot: Some("s".into()), window: None, rows: Some(5000), next: 0 }
            .encode();
    let mut seen = Vec::new();
    loop {
        let splits = Shares::decode(&at).unwrap().take(300);
        assert!(splits.splits.len() <= 300);
        for split in &splits.splits {
            assert_eq!(split.rows_estimate, Some(5));
            seen.push(Share::decode(&split.token).unwrap().condition.unwrap());
        }
        if splits.last {
            break;
        }
        at = splits.next;
    }
    assert_eq!(seen.len(), 1000);
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 1000);
}

#[test]
fn borders_are_thinned_until_they_can_travel() {
    let cut = |points| KeyCut {
        key: key("k", "text"),
        points,
        nulls: None,
        second: Second::Key(key("id", "text")),
    };
    let few = cut(points(&["a", "b"]));
    assert_eq!(few.clone().thinned(), few);
    let long: Vec<Point> = (0..999)
        .map(|index| Point { value: format!("{index:03}{}", "'\u{1}".repeat(200)), hot: None })
        .collect();
    let kept = cut(long).thinned();
    assert!(kept.points.len() > 5 && kept.points.is_sorted_by_key(|point| &point.value));
    let shares = Shares { cut: Cut::Key(kept), snapshot: None, window: None, rows: None, next: 0 };
    assert!(shares.encode().len() < 64 << 10);
    let splits = shares.take(1000).splits;
    assert!(splits.iter().all(|split| split.token.len() < 64 << 10));
    assert_eq!(cut(points(&[&"x".repeat(100_000)])).thinned().points, []);
    let hot = vec!["y".repeat(1000); 100];
    let hot = cut(vec![Point { value: "a".into(), hot: Some(hot) }]).thinned();
    assert!((5..50).contains(&hot.points[0].hot.as_ref().unwrap().len()), "the value stays cut");
}

#[test]
fn foreign_bytes_are_refused() {
    assert_eq!(Shares::decode(b"x").unwrap_err().code, "postgresql.split_unreadable");
    assert_eq!(Share::decode(b"{}").unwrap().condition, None);
    assert_eq!(Share::decode(b"").unwrap_err().code, "postgresql.split_unreadable");
}
