//! What a codec does at most, whatever its options say and whatever it is handed: it works inside the host
//! for plug-ins that nobody need trust, and a little must not become very much.

use crate::fault::{Fault, Result};

/// Bytes of one answer, about. A batch of the largest size fits in any form.
pub const ANSWER_BYTES_MAX: usize = 256 << 20;
/// Flawed records of one answer; those behind them come with the next one.
pub(crate) const FLAWED_MAX: usize = 1000;
/// A text that stands for something: NULL, the end of a line, a pattern.
pub(crate) const MARK_BYTES_MAX: usize = 4 << 10;
/// Characters of a record whose fields have fixed widths.
pub(crate) const RECORD_WIDTH_MAX: usize = 16 << 20;

/// # Errors
/// `codec.answer`: one answer has become too large.
pub(crate) fn check_answer(bytes: usize) -> Result<()> {
    if bytes <= ANSWER_BYTES_MAX {
        return Ok(());
    }
    let message = format!("one answer of a codec has more than {ANSWER_BYTES_MAX} bytes");
    Err(Fault::plugin("codec.answer", message)
        .hint("hand over fewer rows, or fewer bytes, at once"))
}

/// # Errors
/// `codec.options`: `length` of `what` is more than `most`.
pub(crate) fn check_option(what: &str, length: usize, most: usize) -> Result<()> {
    if length <= most {
        return Ok(());
    }
    Err(Fault::plugin("codec.options", format!("{what}: {length}, at most {most}")))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{Array, ListArray, NullArray, RecordBatch, StringArray};
    use arrow_buffer::OffsetBuffer;
    use arrow_schema::{DataType, Field, Schema, SchemaRef};

    use super::*;
    #[cfg(feature = "parquet")]
    use crate::ParquetStyle;
    use crate::csv::{Dialect, Fields};
    use crate::fixed::Slice;
    use crate::kind::Kind;
    use crate::print::Style;
    use crate::rows::CsvStyle;
    use crate::{Budget, CellColumn, Decoder, Records, TextDecoding, decoder, encoder};

    const WHOLE: Budget = Budget { rows: u32::MAX, bytes: 64 << 20 };

    fn schema(types: impl IntoIterator<Item = DataType>) -> SchemaRef {
        let field = |(at, data_type)| Field::new(format!("c{at}"), data_type, true);
        Arc::new(Schema::new(types.into_iter().enumerate().map(field).collect::<Vec<_>>()))
    }

    fn csv_style() -> CsvStyle {
        CsvStyle {
            delimiter: b',',
            quote: Some(b'"'),
            escape: None,
            line_end: b"\n".to_vec(),
            null: Vec::new(),
            header: None,
            style: Style { separator: b' ', date: None },
            widths: None,
        }
    }

    fn text(records: Records, columns: &[(usize, Kind)]) -> Result<Box<dyn Decoder>> {
        let column = |(cell, kind): &(usize, Kind)| CellColumn {
            cell: *cell,
            kind: kind.clone(),
            inferred: false,
        };
        let schema = schema(columns.iter().map(|(_, kind)| kind.data_type()));
        let how = TextDecoding { records, columns: columns.iter().map(column).collect() };
        decoder("text", &serde_json::to_string(&how).unwrap(), schema)
    }

    fn csv(dialect: Dialect, columns: &[(usize, Kind)]) -> Result<Box<dyn Decoder>> {
        text(Records::Csv { dialect, fields: Fields::AtLeast(1) }, columns)
    }

    fn code<T>(result: Result<T>) -> &'static str {
        result.map(|_| ()).unwrap_err().code
    }

    #[test]
    fn options_beyond_all_use_are_refused() {
        let long = vec![b'x'; MARK_BYTES_MAX + 1];
        let texts = schema([DataType::Utf8]);
        let written =
            |style: CsvStyle| code(encoder("csv", &serde_json::to_string(&style).unwrap(), &texts));
        assert_eq!(written(CsvStyle { null: long.clone(), ..csv_style() }), "codec.options");
        assert_eq!(written(CsvStyle { line_end: long.clone(), ..csv_style() }), "codec.options");
        for widths in [vec![usize::MAX, usize::MAX], vec![RECORD_WIDTH_MAX + 1]] {
            assert_eq!(written(CsvStyle { widths: Some(widths), ..csv_style() }), "codec.options");
        }
        let style = serde_json::to_value(csv_style()).unwrap();
        let mut dated = style.clone();
        dated["style"]["date"] = "y".repeat(MARK_BYTES_MAX + 1).into();
        assert_eq!(code(encoder("csv", &dated.to_string(), &texts)), "codec.options");
        let null = Dialect { null: long, ..Dialect::csv() };
        assert_eq!(code(csv(null, &[(0, Kind::Text)])), "codec.options");
        let slices = vec![Slice { start: 0, width: 1 }; crate::csv::CELLS_MAX + 1];
        assert_eq!(code(csv(Dialect::fixed(slices), &[(0, Kind::Text)])), "codec.options");
        let names = vec!["n".to_owned(); crate::csv::CELLS_MAX + 1];
        let json = Records::Json { names, complete: false };
        assert_eq!(code(text(json, &[(0, Kind::Text)])), "codec.options");
    }

    #[cfg(feature = "parquet")]
    #[test]
    fn row_groups_have_rows_and_pages_bytes() {
        let texts = schema([DataType::Utf8]);
        let whole = ParquetStyle::default();
        for style in
            [ParquetStyle { group_rows: 0, ..whole }, ParquetStyle { page_bytes: 1, ..whole }]
        {
            let style = serde_json::to_string(&style).unwrap();
            assert_eq!(code(encoder("parquet", &style, &texts)), "codec.options");
        }
    }

    #[test]
    fn a_field_that_ends_beyond_all_numbers_ends_with_its_line() {
        let slices = vec![Slice { start: 1, width: usize::MAX }];
        let mut fixed = csv(Dialect::fixed(slices), &[(0, Kind::Text)]).unwrap();
        let decoded = fixed.decode(b"abc\n", true, WHOLE).unwrap();
        let texts = StringArray::from(vec!["bc"]);
        assert_eq!(decoded.rows.column(0).as_ref(), &texts as &dyn Array);
    }

    #[test]
    fn many_members_make_few_records_of_a_call() {
        let names: Vec<_> = (0..crate::csv::CELLS_MAX).map(|at| format!("n{at}")).collect();
        let records = Records::Json { names, complete: false };
        let mut json = text(records, &[(0, Kind::Text)]).unwrap();
        let lines = b"{}\n".repeat(10_000);
        let mut window = &lines[..];
        let mut records = 0;
        while !window.is_empty() {
            let decoded = json.decode(window, true, WHOLE).unwrap();
            assert!((1..=256).contains(&decoded.records), "{}", decoded.records);
            records += decoded.records;
            window = &window[decoded.taken..];
        }
        assert_eq!(records, 10_000);
    }

    #[test]
    fn a_text_is_not_multiplied_without_end() {
        let columns = vec![(0, Kind::Text); 1000];
        let mut csv = csv(Dialect::csv(), &columns).unwrap();
        let small = csv.decode(b"one,two\n", true, WHOLE).unwrap();
        assert_eq!((small.rows.num_rows(), small.rows.num_columns()), (1, 1000));
        let large = [vec![b'x'; 1 << 20], b"\n".to_vec()].concat();
        assert_eq!(code(csv.decode(&large, true, WHOLE)), "codec.answer");
    }

    #[test]
    fn flawed_records_come_in_parts_and_in_order() {
        let mut csv = csv(Dialect::csv(), &[(0, Kind::Int64), (1, Kind::Int64)]).unwrap();
        let record = |at: usize| match at % 3 {
            0 => format!("{at},{at}\n"),
            1 => format!("{at},x\n"),
            _ => format!("x,\"{at}\n\"\n"),
        };
        let bytes: String = (0..9_000).map(record).collect();
        let mut window = bytes.as_bytes();
        let (mut flawed, mut good, mut lines, mut calls) = (0, 0, 0, 0);
        while !window.is_empty() {
            let decoded = csv.decode(window, true, WHOLE).unwrap();
            assert!(decoded.flawed.len() <= FLAWED_MAX);
            for found in &decoded.flawed {
                let at = flawed / 2 * 3 + 1 + flawed % 2;
                assert_eq!(found.data, record(at).trim_end_matches('\n').as_bytes(), "{at}");
                flawed += 1;
            }
            good += decoded.rows.num_rows();
            lines += decoded.lines;
            window = &window[decoded.taken..];
            calls += 1;
        }
        assert_eq!((flawed, good, lines, calls), (6_000, 3_000, 12_000, 6));
    }

    #[test]
    fn nulls_that_cost_nothing_do_not_become_very_much_text() {
        let elements = 1 << 26;
        let item = Arc::new(Field::new("a".repeat(1000), DataType::Null, true));
        let offsets = OffsetBuffer::new(vec![0, elements].into());
        let nulls = Arc::new(NullArray::new(elements as usize));
        let list = ListArray::new(item, offsets, nulls, None);
        let schema = schema([list.data_type().clone()]);
        let rows = RecordBatch::try_new(schema.clone(), vec![Arc::new(list)]).unwrap();
        let mut json = encoder("jsonl", "null", &schema).unwrap();
        let mut out = Vec::new();
        assert_eq!(code(json.encode(&rows, &mut out)), "codec.answer");
        assert!(out.len() < ANSWER_BYTES_MAX + 100);
    }
}
