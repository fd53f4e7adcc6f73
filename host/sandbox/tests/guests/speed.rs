use crate::setup::*;
use domain::port::*;
use domain::{Mark, Side};
use sandbox::Reach;
#[tokio::test]
async fn speed() {
    let stream = guest("stream").await;
    let columns = r#"{"sliceRecordCount": 6000000, "column": [{"type":"long","sequence":"1"},{"type":"string","value":"hello world"},{"type":"double","value":"1.5"},{"type":"decimal(15,2)","value":"1.50"}]}"#;
    let mut reader = stream
        .source(configuration("stream", Side::Reader, columns), Reach::none())
        .connect()
        .await
        .unwrap();
    let plan = reader.plan(1, &[]).await.unwrap();
    let splits = reader.splits(&plan.start, 1).await.unwrap();
    reader.open(&splits.splits[0], None, &plan.datasets).await.unwrap();
    let mut writer = stream
        .destination(configuration("stream", Side::Writer, "{}"), Reach::none())
        .connect()
        .await
        .unwrap();
    writer.prepare(&attempt(), &plan.datasets).await.unwrap();
    writer.open(&attempt(), 0, 1, &plan.datasets).await.unwrap();
    let (mut r, mut w, mut n) = (0.0, 0.0, 0);
    loop {
        let t = std::time::Instant::now();
        let step = reader
            .next(Budget { rows: 8192, bytes: 512 << 10, wait: std::time::Duration::from_secs(1) })
            .await
            .unwrap();
        r += t.elapsed().as_secs_f64();
        let Step::Rows(rows) = step else {
            if matches!(step, Step::Ended { .. }) {
                break;
            }
            continue;
        };
        for batch in rows.batches {
            n += batch.len();
            let t = std::time::Instant::now();
            writer.write(&batch).await.unwrap();
            w += t.elapsed().as_secs_f64();
        }
    }
    writer.close(&Mark { sequence: 1, end: true, ..Mark::default() }).await.unwrap();
    println!("SPEED {n} rows, read {r:.2}s write {w:.2}s");
    let t = std::time::Instant::now();
    for _ in 0..200 {
        stream
            .source(configuration("stream", Side::Reader, columns), Reach::none())
            .connect()
            .await
            .unwrap();
    }
    println!("SPEED connect {:?}", t.elapsed() / 200);
    let t = std::time::Instant::now();
    for _ in 0..10000 {
        reader.tend().await.unwrap();
    }
    println!("SPEED call {:?}", t.elapsed() / 10000);
}
