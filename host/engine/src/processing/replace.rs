//! `string-replace`: rules, one after another, on columns of texts.

use std::borrow::Cow;
use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use domain::Result;
use domain::job::Replacement;
use regex::Regex;

#[derive(Clone, Debug)]
pub(super) struct Replace {
    rules: Vec<Rule>,
    pub(super) schema: SchemaRef,
}

#[derive(Clone, Debug)]
struct Rule {
    column: usize,
    pattern: Regex,
    by: String,
}

impl Replace {
    /// # Errors
    /// `transform.column`: a column that there is not; `transform.type`: one without texts;
    /// `transform.pattern`: no regular expression.
    pub(super) fn new(rules: &[Replacement], schema: &SchemaRef) -> Result<Self> {
        let mut fields: Vec<_> = schema.fields().iter().cloned().collect();
        let mut made = Vec::with_capacity(rules.len());
        for (index, rule) in rules.iter().enumerate() {
            let place = |key: &str| format!("/parameter/rules/{index}/{key}");
            let column = super::text_column(&rule.column, schema)
                .map_err(|fault| fault.at(place("field")))?;
            let pattern =
                super::filter::compiled(&rule.pattern).map_err(|fault| fault.at(place("find")))?;
            // What described the old values does not describe the new ones.
            let field = Field::new(&rule.column, DataType::Utf8, fields[column].is_nullable());
            fields[column] = Arc::new(field);
            made.push(Rule { column, pattern, by: rule.by.clone() });
        }
        let schema = Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()));
        Ok(Self { rules: made, schema })
    }

    pub(super) fn apply(&self, columns: &mut [ArrayRef]) {
        for rule in &self.rules {
            let texts = columns[rule.column].as_string::<i32>();
            if let Some(changed) = rule.apply(texts) {
                columns[rule.column] = Arc::new(changed);
            }
        }
    }
}

impl Rule {
    /// `None` where no text has the pattern.
    fn apply(&self, texts: &StringArray) -> Option<StringArray> {
        let mut made: Option<StringBuilder> = None;
        for row in 0..texts.len() {
            let text = texts.is_valid(row).then(|| texts.value(row));
            let changed = text.map(|text| self.pattern.replace_all(text, &self.by));
            if made.is_none() && matches!(changed, Some(Cow::Owned(_))) {
                let mut builder =
                    StringBuilder::with_capacity(texts.len(), texts.value_data().len());
                (0..row).for_each(|row| {
                    builder.append_option(texts.is_valid(row).then(|| texts.value(row)));
                });
                made = Some(builder);
            }
            if let Some(made) = &mut made {
                made.append_option(changed);
            }
        }
        made.map(|mut made| made.finish())
    }
}
