//! What the plug-in says about itself.

use std::hint::black_box;

use sdk::bindings::airlock::connector::types::Dataset;
use sdk::bindings::exports::airlock::connector::connector::Guest;
use sdk::{
    Access, CheckStep, Configuration, Description, Directory, Endpoint, Entry, Fault, Requirement,
    Result, Role, SourceType,
};

use crate::acts::{ESCAPES, before, run};
use crate::script::Script;
use crate::{DESCRIBE_ACT, Faulty, datasets};

impl Guest for Faulty {
    fn describe() -> Description {
        let text = String::from_utf8_lossy(black_box(&DESCRIBE_ACT)).into_owned();
        let act = text.split_once(':').map(|(_, act)| act.trim()).unwrap_or_default();
        // `describe` answers no fault; an act that would is none of its own.
        let _ = run(act, &Script::default(), None);
        let parameter_schema = sdk::parameters::schema::<Script>();
        let description = description(Role { parameter_schema, features: vec![] });
        if act == "escapes" { escaping(description) } else { description }
    }

    fn requirements(configuration: Configuration) -> Result<Vec<Requirement>> {
        let script = Script::of(&configuration)?;
        let access = match configuration.side {
            sdk::Side::Reader | sdk::Side::Transformer => Access::Read,
            sdk::Side::Writer => Access::Write,
        };
        let mut asked: Vec<_> = script.ask.iter().map(|path| directory(path, access)).collect();
        asked.extend(script.ask_tcp.iter().map(|target| Requirement::Tcp(endpoint(target))));
        let target = script.target.as_str();
        match before(&script, "requirements", Some(&configuration))? {
            Some("ask-tcp") => asked.push(Requirement::Tcp(endpoint(target))),
            Some("ask-members") => asked.push(Requirement::Members(endpoint(target))),
            Some("ask-http") => asked.push(Requirement::Http(target.into())),
            Some("ask-directory") => asked.push(directory(target, Access::Read)),
            Some("ask-write") => asked.push(directory(target, Access::Write)),
            Some("ask-many") => {
                let one = Requirement::Http("https://example.com".into());
                asked.extend(vec![one; script.amount_or(100_000) as usize]);
            }
            _ => {}
        }
        Ok(asked)
    }

    fn check(configuration: Configuration) -> Result<Vec<CheckStep>> {
        let script = Script::of(&configuration)?;
        let step = CheckStep { name: "look".into(), fault: None };
        Ok(match before(&script, "check", Some(&configuration))? {
            Some("step-name") => vec![CheckStep { name: script.target.clone(), ..step }],
            Some("steps-many") => vec![step; script.amount_or(100_000) as usize],
            Some("step-fault") => {
                let fault = Some(Fault::external("faulty.step", "a step that fails"));
                vec![step, CheckStep { name: "touch".into(), fault }]
            }
            _ => vec![step],
        })
    }

    fn browse(
        configuration: Configuration,
        path: Vec<String>,
        after: Option<String>,
        _limit: u32,
    ) -> Result<Vec<Entry>> {
        let script = Script::of(&configuration)?;
        let entry = Entry { path: vec!["generated".into()], is_dataset: true };
        Ok(match before(&script, "browse", Some(&configuration))? {
            Some("entries-many") => vec![entry; script.amount_or(100_000) as usize],
            _ if path.is_empty() && after.is_none() => vec![entry],
            _ => Vec::new(),
        })
    }

    fn discover(configuration: Configuration, _paths: Vec<Vec<String>>) -> Result<Vec<Dataset>> {
        let script = Script::of(&configuration)?;
        let act = before(&script, "discover", Some(&configuration))?;
        Ok(datasets::lie(act, &script, vec![datasets::honest()]))
    }
}

fn description(role: Role) -> Description {
    Description {
        name: "faulty".into(),
        version: env!("CARGO_PKG_VERSION").into(),
        summary: "misbehaves on purpose".into(),
        types: vec![SourceType {
            name: "faulty".into(),
            aliases: Vec::new(),
            title: "Faulty".into(),
            family: "test".into(),
            connection_schema: r#"{"type": "object"}"#.into(),
            reader: Some(role.clone()),
            transformer: Some(role.clone()),
            writer: Some(role),
            places: Vec::new(),
        }],
        metadata: Vec::new(),
    }
}

/// The same with terminal sequences in every text.
fn escaping(mut evil: Description) -> Description {
    // As JSON has it: harmless until it is decoded.
    let schema = r#"{"type": "object", "title": "\u001b[2J", "properties": {"a\u001b[2J": {"type": "string", "description": "x\u202ey", "default": "\t\u0007"}}}"#;
    for text in [&mut evil.name, &mut evil.version, &mut evil.summary] {
        text.push_str(ESCAPES);
    }
    for kind in &mut evil.types {
        kind.title.push_str(ESCAPES);
        kind.family.push_str(ESCAPES);
        kind.aliases.push(ESCAPES.into());
        kind.connection_schema = schema.into();
        kind.reader =
            Some(Role { parameter_schema: schema.into(), features: vec![ESCAPES.into()] });
    }
    evil.metadata.push((ESCAPES.into(), ESCAPES.into()));
    evil
}

fn directory(path: &str, access: Access) -> Requirement {
    Requirement::Directory(Directory { path: path.into(), access })
}

/// `host:port`; port 80 where it has none.
fn endpoint(target: &str) -> Endpoint {
    let (host, port) = target.rsplit_once(':').unwrap_or((target, "80"));
    let port = port.parse().unwrap_or(80);
    Endpoint { host: host.into(), first_port: port, last_port: port }
}
