//! How files are read again that were written by a job: what a reader's document would say.

use arrow_schema::{DataType, Field, Schema};
use sdk::{Form, Result};
use serde_json::{Map, Value, json};

use crate::charset::Charset;
use crate::kind::Kind;
use crate::pack::{Packing, Wrapping};
use crate::parameters::WriteParameters;
use crate::write::WriteFormat;
use codec::rows::CsvStyle;

const EXTENSION_NAME: &str = "ARROW:extension:name";

/// A reader's parameters of format, and how each field comes back; or why there are none.
pub type Back = Result<(Map<String, Value>, Vec<Form>), String>;

impl WriteParameters {
    /// How files with the fields of `schema` are read again.
    ///
    /// # Errors
    /// As [`Self::format`].
    pub fn back(&self, schema: &Schema) -> Result<Back> {
        let names: Vec<_> = schema.fields().iter().map(|field| field.name().clone()).collect();
        let format = self.format(&names)?;
        let mut reader = Map::new();
        let mut widths = Vec::new();
        let mut put = |key: &str, value: Value| reader.insert(key.to_owned(), value);
        let wrapping = match &format {
            WriteFormat::Parquet(_)
            | WriteFormat::Avro(_)
            | WriteFormat::Orc(_)
            | WriteFormat::Arrow { .. } => {
                put("fileFormat", json!(self.file_format().word()));
                return Ok(Ok((reader, vec![Form::Same; names.len()])));
            }
            WriteFormat::Json(wrapping) => {
                put("fileFormat", json!("json"));
                wrapping.clone()
            }
            WriteFormat::Excel(header) => {
                put("fileFormat", json!("excel"));
                put("header", json!(header.is_some()));
                Wrapping { packing: Packing::Workbook, ..Wrapping::default() }
            }
            WriteFormat::Csv(CsvStyle { widths: Some(of_columns), .. }, wrapping) => {
                put("fileFormat", json!("fixed"));
                for (key, given) in
                    [("lineDelimiter", &self.line_delimiter), ("nullFormat", &self.null_format)]
                {
                    given.iter().for_each(|text| drop(put(key, json!(text))));
                }
                widths.clone_from(of_columns);
                wrapping.clone()
            }
            WriteFormat::Csv(style, wrapping) => {
                let csv = match csv(style) {
                    Ok(csv) => csv,
                    Err(why) => return Ok(Err(why)),
                };
                put("fileFormat", json!(self.file_format().word()));
                put("header", json!(style.header.is_some()));
                put("csvReaderConfig", csv);
                let delimiter = self.field_delimiter.as_deref().unwrap_or(",");
                put("fieldDelimiter", json!(delimiter));
                for (key, given) in
                    [("lineDelimiter", &self.line_delimiter), ("nullFormat", &self.null_format)]
                {
                    given.iter().for_each(|text| drop(put(key, json!(text))));
                }
                wrapping.clone()
            }
        };
        let Wrapping { packing, charset, .. } = wrapping;
        if packing != Packing::Workbook {
            put("compress", json!(packing.word()));
        }
        if charset != Charset::Utf8 {
            put("encoding", json!(charset.word()));
        }
        let is_json = matches!(format, WriteFormat::Json(_));
        let dated = !is_json && self.date_format.is_some();
        let fields = schema.fields().iter().enumerate();
        let columns = fields.map(|(index, field)| column(index, field, is_json, dated));
        let (mut columns, forms): (Vec<_>, Vec<_>) = columns.unzip();
        for (column, width) in columns.iter_mut().zip(widths) {
            column["width"] = json!(width);
            column.as_object_mut().map(|members| members.remove("index"));
        }
        put("column", json!(columns));
        Ok(Ok((reader, forms)))
    }
}

fn csv(style: &CsvStyle) -> Result<Value, String> {
    let mut config = json!({});
    if let Some(quote) = style.quote {
        config["textQualifier"] = json!(char::from(quote).to_string());
    }
    match style.escape {
        None => {}
        Some(b'\\') => config["escapeMode"] = json!(2),
        Some(other) => {
            let other = char::from(other);
            return Err(format!("no reader knows \"escapeChar\" \"{other}\""));
        }
    }
    Ok(config)
}

/// A column as it is read again. Values of types that no word names are read as their text.
fn column(index: usize, field: &Field, is_json: bool, dated: bool) -> (Value, Form) {
    let extension = field.metadata().get(EXTENSION_NAME).map(String::as_str);
    let kind = field.data_type();
    let form = match kind {
        DataType::Date32 | DataType::Date64 | DataType::Timestamp(..) if dated => Form::Reshaped,
        DataType::Utf8 if is_json && extension == Some("arrow.json") => Form::Json,
        DataType::FixedSizeBinary(_) if extension != Some("arrow.uuid") => Form::Reshaped,
        DataType::Float16 | DataType::Decimal32(..) | DataType::Decimal64(..) => Form::Reshaped,
        kind if kind.is_nested() => Form::Reshaped,
        _ => Form::Same,
    };
    let known = match (form, kind) {
        (Form::Reshaped, _) => None,
        // Words have no scale below zero.
        (_, DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale))
            if *scale < 0 || *scale as u8 > *precision =>
        {
            None
        }
        (_, kind) => Kind::of(kind),
    };
    let word = known.map_or_else(|| "string".to_owned(), |kind| kind.word());
    let column = match is_json {
        true => json!({"name": field.name(), "type": word}),
        false => json!({"index": index, "name": field.name(), "type": word}),
    };
    (column, form)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn back(parameters: Value, fields: Vec<Field>) -> Back {
        let parameters: WriteParameters = serde_json::from_value(parameters).unwrap();
        parameters.back(&Schema::new(fields)).unwrap()
    }

    #[test]
    fn what_a_reader_needs_to_know_is_said() {
        let fields = vec![
            Field::new("id", DataType::Int64, false),
            Field::new("price", DataType::Decimal128(5, -2), true),
            Field::new("bytes", DataType::Binary, true),
            Field::new("half", DataType::Float16, true),
        ];
        let style = json!({"fieldDelimiter": ";", "nullFormat": "NULL", "quote": "'", "escapeChar": "\\", "compress": "gzip", "header": true});
        let (reader, forms) = back(style, fields.clone()).unwrap();
        assert_eq!(
            Value::Object(reader),
            json!({
                "fileFormat": "csv", "header": true, "fieldDelimiter": ";", "nullFormat": "NULL", "compress": "gzip",
                "csvReaderConfig": {"textQualifier": "'", "escapeMode": 2},
                "column": [
                    {"index": 0, "name": "id", "type": "bigint"}, {"index": 1, "name": "price", "type": "string"},
                    {"index": 2, "name": "bytes", "type": "binary"}, {"index": 3, "name": "half", "type": "string"},
                ],
            })
        );
        assert_eq!(forms, [Form::Same, Form::Same, Form::Same, Form::Reshaped]);
        let (reader, _) = back(json!({"fileFormat": "parquet"}), fields.clone()).unwrap();
        assert_eq!(Value::Object(reader), json!({"fileFormat": "parquet"}));
        assert!(back(json!({"escapeChar": "^"}), fields).is_err());
    }

    #[test]
    fn dates_of_another_format_are_not_compared() {
        let fields = vec![Field::new("day", DataType::Date32, true)];
        let (_, forms) = back(json!({"dateFormat": "yyyyMMdd"}), fields).unwrap();
        assert_eq!(forms, [Form::Reshaped]);
    }
}
