//! Descriptions on disk, so that a job need not start a plug-in to know its schemas.

use domain::description::{Description, Role, SourceType};
use domain::grant::{Access, Requirement};
use serde::{Deserialize, Serialize};

use crate::cache::{Cache, Entry};

/// The answer of `describe`, as it is written.
#[derive(Serialize, Deserialize)]
struct StoredDescription {
    name: String,
    version: String,
    summary: String,
    types: Vec<StoredType>,
    metadata: Vec<(String, String)>,
}

#[derive(Serialize, Deserialize)]
struct StoredType {
    name: String,
    aliases: Vec<String>,
    title: String,
    family: String,
    connection_schema: String,
    reader: Option<StoredRole>,
    transformer: Option<StoredRole>,
    writer: Option<StoredRole>,
    places: Vec<StoredPlace>,
}

#[derive(Serialize, Deserialize)]
struct StoredRole {
    parameter_schema: String,
    features: Vec<String>,
}

#[derive(Serialize, Deserialize)]
enum StoredPlace {
    Tcp(String, u16, u16),
    Members(String, u16, u16),
    Http(String),
    Read(String),
    Write(String),
    ReadFile(String, String),
    WriteFile(String, String),
}

/// The description of a component, where the cache has it.
pub(crate) fn read(cache: &Cache, digest: &str) -> Option<Description> {
    match cache.read(&entry_name(digest)) {
        Entry::Good(json) => serde_json::from_slice(&json).ok().map(known),
        Entry::Absent | Entry::Bad => None,
    }
}

pub(crate) fn write(cache: &Cache, digest: &str, description: &Description) -> std::io::Result<()> {
    let json = serde_json::to_vec(&stored(description)).map_err(std::io::Error::other)?;
    cache.write(&entry_name(digest), &json)
}

/// The version of this program is part of the name: what is read of a description may change with it.
fn entry_name(digest: &str) -> String {
    let name = format!("{digest} {}", env!("CARGO_PKG_VERSION"));
    format!("{}.description", blake3::hash(name.as_bytes()).to_hex())
}

fn stored(description: &Description) -> StoredDescription {
    let role = |role: &Role| StoredRole {
        parameter_schema: role.parameter_schema.clone(),
        features: role.features.clone(),
    };
    let source_type = |kind: &SourceType| StoredType {
        name: kind.name.clone(),
        aliases: kind.aliases.clone(),
        title: kind.title.clone(),
        family: kind.family.clone(),
        connection_schema: kind.connection_schema.clone(),
        reader: kind.reader.as_ref().map(role),
        transformer: kind.transformer.as_ref().map(role),
        writer: kind.writer.as_ref().map(role),
        places: kind.places.iter().map(stored_place).collect(),
    };
    StoredDescription {
        name: description.name.clone(),
        version: description.version.clone(),
        summary: description.summary.clone(),
        types: description.types.iter().map(source_type).collect(),
        metadata: description.metadata.clone(),
    }
}

fn stored_place(place: &Requirement) -> StoredPlace {
    match place {
        Requirement::Tcp { host, first_port, last_port } => {
            StoredPlace::Tcp(host.clone(), *first_port, *last_port)
        }
        Requirement::Members { host, first_port, last_port } => {
            StoredPlace::Members(host.clone(), *first_port, *last_port)
        }
        Requirement::Http(url) => StoredPlace::Http(url.clone()),
        Requirement::Directory { path, access: Access::Read } => StoredPlace::Read(path.clone()),
        Requirement::Directory { path, access: Access::Write } => StoredPlace::Write(path.clone()),
        Requirement::File { path, access: Access::Read, name } => {
            StoredPlace::ReadFile(path.clone(), name.clone())
        }
        Requirement::File { path, access: Access::Write, name } => {
            StoredPlace::WriteFile(path.clone(), name.clone())
        }
    }
}

fn known(stored: StoredDescription) -> Description {
    let role = |role: StoredRole| Role {
        parameter_schema: role.parameter_schema,
        features: role.features,
    };
    let source_type = |kind: StoredType| SourceType {
        name: kind.name,
        aliases: kind.aliases,
        title: kind.title,
        family: kind.family,
        connection_schema: kind.connection_schema,
        reader: kind.reader.map(role),
        transformer: kind.transformer.map(role),
        writer: kind.writer.map(role),
        places: kind.places.into_iter().map(place).collect(),
    };
    Description {
        name: stored.name,
        version: stored.version,
        summary: stored.summary,
        types: stored.types.into_iter().map(source_type).collect(),
        metadata: stored.metadata,
    }
}

fn place(place: StoredPlace) -> Requirement {
    match place {
        StoredPlace::Tcp(host, first_port, last_port) => {
            Requirement::Tcp { host, first_port, last_port }
        }
        StoredPlace::Members(host, first_port, last_port) => {
            Requirement::Members { host, first_port, last_port }
        }
        StoredPlace::Http(url) => Requirement::Http(url),
        StoredPlace::Read(path) => Requirement::Directory { path, access: Access::Read },
        StoredPlace::Write(path) => Requirement::Directory { path, access: Access::Write },
        StoredPlace::ReadFile(path, name) => Requirement::File { path, access: Access::Read, name },
        StoredPlace::WriteFile(path, name) => {
            Requirement::File { path, access: Access::Write, name }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_comes_back_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path()).unwrap();
        let tcp = |host: &str| Requirement::Tcp { host: host.into(), first_port: 1, last_port: 2 };
        let role = Role { parameter_schema: "{}".into(), features: vec!["resume".into()] };
        let description = Description {
            name: "x".into(),
            version: "1.2.3".into(),
            summary: "moves".into(),
            types: vec![SourceType {
                name: "x".into(),
                aliases: vec!["xreader".into()],
                title: "X".into(),
                family: "file".into(),
                connection_schema: "{\"type\":\"object\"}".into(),
                reader: Some(role.clone()),
                transformer: Some(role),
                writer: None,
                places: vec![
                    tcp("a"),
                    Requirement::Members { host: "b".into(), first_port: 3, last_port: 4 },
                    Requirement::Http("https://c".into()),
                    Requirement::Directory { path: "d".into(), access: Access::Read },
                    Requirement::Directory { path: "e".into(), access: Access::Write },
                    Requirement::File { path: "f".into(), access: Access::Read, name: "n".into() },
                    Requirement::File { path: "g".into(), access: Access::Write, name: "m".into() },
                ],
            }],
            metadata: vec![("k".into(), "v".into())],
        };
        assert_eq!(read(&cache, "blake3:1"), None);
        write(&cache, "blake3:1", &description).unwrap();
        assert_eq!(read(&cache, "blake3:1"), Some(description));
        assert_eq!(read(&cache, "blake3:2"), None);
    }
}
