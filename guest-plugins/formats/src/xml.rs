//! XML as JSON lines: each element at one path is a row.
//!
//! The elements in a row are its members, nested ones by their path (`address/city`), attributes behind an
//! `@`; the row's own text is `#text`. What comes several times is a list. An element without anything in it
//! is NULL. Namespaces are left out of names.

use std::io::{self, BufRead, Read};

use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};
use sdk::Fault;

use crate::storage::{carried, io_error};

/// Elements in each other; deeper ones are no data.
const DEPTH_MAX: usize = 256;
/// A longer row fits no record.
const ROW_BYTES_MAX: usize = 32 << 20;
/// A longer number is a text.
const DIGITS_MAX: usize = 38;

/// The rows of a document, as text.
pub(crate) struct Rows<R> {
    reader: Reader<R>,
    label: String,
    /// Names from the root to the element that is a row; `*` is any.
    path: Vec<String>,
    /// Names of the elements that are open.
    open: Vec<String>,
    row: Option<Row>,
    buffer: Vec<u8>,
    text: Vec<u8>,
    at: usize,
    ended: bool,
}

/// The row that is open.
#[derive(Default)]
struct Row {
    members: Vec<(String, Vec<Option<String>>)>,
    /// The open elements in it, itself first.
    levels: Vec<Level>,
    bytes: usize,
}

#[derive(Default)]
struct Level {
    text: String,
    /// Whether there are elements or attributes in it.
    has_parts: bool,
}

impl Row {
    fn add(&mut self, name: String, value: Option<String>) {
        self.bytes += name.len() + value.as_ref().map_or(0, String::len);
        match self.members.iter_mut().find(|(known, _)| *known == name) {
            Some((_, values)) => values.push(value),
            None => self.members.push((name, vec![value])),
        }
    }

    fn begin(&mut self, element: &BytesStart<'_>, path: &str) -> Result<(), String> {
        if let Some(parent) = self.levels.last_mut() {
            parent.has_parts = true;
        }
        let mut level = Level::default();
        for attribute in element.attributes() {
            let attribute = attribute.map_err(|error| error.to_string())?;
            let name = attribute.key.as_ref();
            // Names of namespaces are no data.
            if name == "xmlns" || name.starts_with("xmlns:") {
                continue;
            }
            let value = attribute.normalized_value(XmlVersion::Implicit1_0);
            let value = value.map_err(|error| error.to_string())?.into_owned();
            let name = attribute.key.local_name();
            let separator = if path.is_empty() { "" } else { "/" };
            self.add(format!("{path}{separator}@{}", name.as_ref()), Some(value));
            level.has_parts = true;
        }
        self.levels.push(level);
        Ok(())
    }

    /// Whether the row itself ended.
    fn end(&mut self, path: &str) -> bool {
        let Some(level) = self.levels.pop() else { return true };
        let is_row = self.levels.is_empty();
        let is_blank = level.text.trim().is_empty();
        match (is_row, level.has_parts && is_blank) {
            (true, _) if is_blank => {}
            (true, _) => self.add("#text".to_owned(), Some(level.text)),
            (false, true) => {}
            (false, false) => {
                let value = Some(level.text).filter(|text| !text.is_empty());
                self.add(path.to_owned(), value);
            }
        }
        is_row
    }

    fn push(&mut self, text: &str) {
        self.bytes += text.len();
        if let Some(level) = self.levels.last_mut() {
            level.text.push_str(text);
        }
    }

    fn print(&self, out: &mut Vec<u8>) {
        out.push(b'{');
        for (at, (name, values)) in self.members.iter().enumerate() {
            out.extend_from_slice(if at > 0 { b"," } else { b"" });
            out.extend_from_slice(json(name).as_bytes());
            out.push(b':');
            match values.as_slice() {
                [value] => out.extend_from_slice(scalar(value.as_deref()).as_bytes()),
                values => {
                    let values: Vec<_> =
                        values.iter().map(|value| scalar(value.as_deref())).collect();
                    out.extend_from_slice(format!("[{}]", values.join(",")).as_bytes());
                }
            }
        }
        out.extend_from_slice(b"}\n");
    }
}

fn json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Numbers and booleans as such, where JSON writes them in the same way.
fn scalar(value: Option<&str>) -> String {
    match value {
        None => "null".to_owned(),
        Some(text @ ("true" | "false")) => text.to_owned(),
        Some(text) if is_number(text) => text.to_owned(),
        Some(text) => json(text),
    }
}

fn is_number(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let positive = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = positive.split_once('.').unwrap_or((positive, "0"));
    let is_zero = positive.bytes().all(|byte| matches!(byte, b'0' | b'.'));
    digits(whole)
        && digits(fraction)
        && (whole.len() == 1 || !whole.starts_with('0'))
        && positive.len() <= DIGITS_MAX
        && !(is_zero && positive.len() < text.len())
}

impl<R: BufRead> Rows<R> {
    /// `path` as a document has it: `/orders/order`.
    pub(crate) fn new(text: R, path: &str, label: &str) -> Self {
        let mut reader = Reader::from_reader(text);
        reader.config_mut().expand_empty_elements = true;
        let path = path.split('/').filter(|name| !name.is_empty()).map(str::to_owned).collect();
        Self {
            reader,
            label: label.to_owned(),
            path,
            open: Vec::new(),
            row: None,
            buffer: Vec::new(),
            text: Vec::new(),
            at: 0,
            ended: false,
        }
    }

    /// Reads up to the end of the next row.
    fn fill(&mut self) -> io::Result<()> {
        self.text.clear();
        self.at = 0;
        let mut buffer = std::mem::take(&mut self.buffer);
        while self.text.is_empty() && !self.ended {
            buffer.clear();
            let event = match self.reader.read_event_into(&mut buffer) {
                Ok(event) => event,
                Err(error) => {
                    let fault = carried(&error);
                    return Err(fault.map_or_else(|| self.broken(&error.to_string()), io_error));
                }
            };
            if let Err(why) = self.take(event) {
                return Err(self.broken(&why));
            }
        }
        self.buffer = buffer;
        Ok(())
    }

    fn take(&mut self, event: Event<'_>) -> Result<(), String> {
        match event {
            Event::Start(element) => {
                self.open.push(element.local_name().as_ref().to_owned());
                if self.open.len() > DEPTH_MAX {
                    return Err(format!("elements are nested deeper than {DEPTH_MAX}"));
                }
                if self.row.is_none() && self.is_at_path() {
                    self.row = Some(Row::default());
                }
                let path = self.inner_path();
                self.row.as_mut().map_or(Ok(()), |row| row.begin(&element, &path))
            }
            Event::End(_) => {
                let path = self.inner_path();
                self.open.pop();
                let Some(row) = &mut self.row else { return Ok(()) };
                if row.end(&path) {
                    row.print(&mut self.text);
                    self.row = None;
                }
                Ok(())
            }
            Event::Text(text) => self.push(&text.xml_content(XmlVersion::Implicit1_0)),
            Event::CData(text) => self.push(&text.xml_content(XmlVersion::Implicit1_0)),
            Event::GeneralRef(entity) => {
                if let Some(text) = resolve_xml_entity(entity.as_ref()) {
                    return self.push(text);
                }
                let letter = entity.resolve_char_ref().map_err(|error| error.to_string())?;
                let letter =
                    letter.ok_or_else(|| format!("&{}; means nothing", entity.as_ref()))?;
                self.push(letter.encode_utf8(&mut [0; 4]))
            }
            Event::Eof => {
                self.ended = true;
                match self.open.last() {
                    Some(open) => Err(format!("it ends in the middle of <{open}>")),
                    None => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    fn push(&mut self, text: &str) -> Result<(), String> {
        if self.open.is_empty() && !text.trim_start_matches('\u{feff}').trim().is_empty() {
            return Err("text stands outside of all elements".to_owned());
        }
        let Some(row) = &mut self.row else { return Ok(()) };
        row.push(text);
        match row.bytes > ROW_BYTES_MAX {
            true => Err("a row is longer than 32 MiB".to_owned()),
            false => Ok(()),
        }
    }

    fn is_at_path(&self) -> bool {
        let fits = |(wanted, name): (&String, &String)| wanted == "*" || wanted == name;
        self.open.len() == self.path.len() && self.path.iter().zip(&self.open).all(fits)
    }

    /// From the row to the element that is open.
    fn inner_path(&self) -> String {
        self.open.get(self.path.len()..).unwrap_or_default().join("/")
    }

    fn broken(&self, why: &str) -> io::Error {
        let (label, at) = (&self.label, self.reader.buffer_position());
        let message = format!("\"{label}\" is no readable XML: {why} (near byte {at} of its text)");
        let hint = "the file may be cut off, or of another format: copy it again";
        io_error(Fault::data("format.corrupt", message).hint(hint))
    }
}

impl<R: BufRead> Read for Rows<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.at == self.text.len() && !self.ended {
            self.fill()?;
        }
        let rest = &self.text[self.at..];
        let count = rest.len().min(out.len());
        out[..count].copy_from_slice(&rest[..count]);
        self.at += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str, path: &str) -> io::Result<String> {
        let mut out = String::new();
        Rows::new(text.as_bytes(), path, "a.xml").read_to_string(&mut out)?;
        Ok(out)
    }

    #[test]
    fn elements_become_members() {
        let text = "<?xml version=\"1.0\"?>\n<!DOCTYPE o>\n<orders xmlns:x=\"u\"><meta><order>no</order></meta>\n\
             <order id=\"7\"><x:name>A &amp; B&#33;</x:name><to><city zip=\"007\">Ulm</city></to><none/>\
             <tag>1</tag><tag>b</tag><note><![CDATA[<x>]]></note><ok>true</ok><n>-0</n></order>\n<order>text</order></orders>\n";
        let wanted = "{\"@id\":7,\"name\":\"A & B!\",\"to/city/@zip\":\"007\",\"to/city\":\"Ulm\",\"none\":null,\
             \"tag\":[1,\"b\"],\"note\":\"<x>\",\"ok\":true,\"n\":\"-0\"}\n{\"#text\":\"text\"}\n";
        assert_eq!(rows(text, "/orders/order").unwrap(), wanted);
        assert_eq!(rows(text, "*/meta").unwrap(), "{\"order\":\"no\"}\n");
        assert_eq!(rows(text, "/other").unwrap(), "");
    }

    #[test]
    fn broken_documents_are_told() {
        for text in ["<a><b>", "<a></b>", "text", "<a>&nothing;</a>", "<a b></a>", "{}"] {
            let error = rows(text, "/a").unwrap_err();
            let fault = carried(&error).unwrap();
            assert_eq!(fault.code, "format.corrupt", "{text}");
        }
        assert!(rows(&"<a>".repeat(300), "/a").is_err());
    }
}
