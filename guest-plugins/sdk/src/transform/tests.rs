use arrow_array::{Int64Array, RecordBatch};
use std::sync::Arc;

use super::*;

fn numbers(values: &[i64]) -> RecordBatch {
    RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from(values.to_vec())) as _)]).unwrap()
}

#[test]
fn rows_keep_the_operations_of_those_they_were_made_of() {
    let batch = Batch { operations: Some(vec![0, 3, 0]), ..Batch::inserts(numbers(&[1, 2, 3])) };
    let made = Transformed::of(&batch, numbers(&[2, 2, 3]), vec![1, 1, 2]).unwrap();
    assert_eq!(made.rows.operations, Some(vec![3, 3, 0]));
    assert_eq!((made.origins, made.taken), (vec![1, 1, 2], 3));
    let each = Transformed::each(&batch, numbers(&[1, 2, 3])).unwrap();
    assert_eq!((each.rows, each.origins), (batch, vec![0, 1, 2]));
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let batch = Batch::inserts(numbers(&[1, 2]));
    for origins in [vec![0], vec![0, 2]] {
        let fault = Transformed::of(&batch, numbers(&[1, 2]), origins).unwrap_err();
        assert_eq!(fault.code, "sdk.origins");
    }
    let absent = Batch { absent: vec![vec![1]], ..batch };
    assert_eq!(Transformed::each(&absent, numbers(&[1, 2])).unwrap_err().code, "sdk.absent");
}
