//! Documents against the schemas that the built-in plug-ins really have.

use sandbox::Settings;
use serde_json::{Value, json};

use super::*;

/// Those of tests, where the programs that tests start keep it too.
fn cache() -> PathBuf {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
    checkout.unwrap_or(Path::new("")).join("target/test-cache/airlock")
}

fn with_catalogue<T>(look: impl AsyncFnOnce(&Catalogue) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let settings = Settings { cache_dir: Some(cache()), ..Settings::default() };
        let sandbox = Sandbox::new(settings).unwrap();
        let catalogue = Catalogue::open(sandbox, &Vec::<PathBuf>::new()).await.unwrap();
        look(&catalogue).await
    })
}

struct NoSecrets;

impl spec::Secrets for NoSecrets {
    fn env(&self, _name: &str) -> Option<String> {
        None
    }

    fn file(&self, _beside: &str, _path: &str) -> Result<String, String> {
        Err("there is none".into())
    }
}

fn read(catalogue: &Catalogue, reader: Value, writer: Value) -> Result<spec::Read, spec::Refused> {
    let step = |category: &str, (kind, parameter): (&str, Value)| json!({"stepType": kind, "category": category, "name": category, "parameter": parameter});
    let text = json!({"type": "job", "version": "2.0",
        "steps": [step("reader", ("postgresql", reader)), step("writer", ("postgresql", writer))],
        "order": {"hops": [{"from": "reader", "to": "writer"}]}});
    spec::read(&spec::Input {
        text: &text.to_string(),
        name: "job.json",
        parameters: &Parameters::default(),
        clock: &"20251101023045 20251031".parse().unwrap(),
        sources: spec::Sources { name: "datasources.json", text: None },
        plugins: catalogue,
        secrets: &NoSecrets,
    })
}

fn connection() -> Value {
    json!({"host": "h", "database": "d", "username": "u", "password": "p", "table": "t"})
}

fn with(key: &str, value: Value) -> Value {
    let mut parameter = connection();
    parameter[key] = value;
    parameter
}

fn without(key: &str) -> Value {
    let mut parameter = connection();
    parameter.as_object_mut().unwrap().remove(key);
    parameter
}

#[test]
fn what_is_missing_or_out_of_range_is_found_without_a_server() {
    let table = [
        (with("splitFactor", 0.into()), "spec.value /steps/0/parameter/splitFactor"),
        (with("splitFactor", 1001.into()), "spec.value /steps/0/parameter/splitFactor"),
        (with("port", 70000.into()), "spec.value /steps/0/parameter/port"),
        (without("database"), "spec.required /steps/0/parameter"),
        (without("username"), "spec.required /steps/0/parameter"),
        (without("host"), "spec.required /steps/0/parameter"),
    ];
    with_catalogue(async |catalogue| {
        assert!(read(catalogue, connection(), connection()).is_ok());
        for (reader, expected) in table {
            let refused = read(catalogue, reader.clone(), connection()).unwrap_err();
            let told = refused.faults.iter().map(|fault| {
                format!("{} {}", fault.code, fault.place.as_deref().unwrap_or_default())
            });
            assert_eq!(told.collect::<Vec<_>>(), [expected], "{reader}");
        }
    });
}

#[test]
fn a_missing_table_is_found_without_a_server() {
    with_catalogue(async |catalogue| {
        for (reader, writer) in [(without("table"), connection()), (connection(), without("table"))]
        {
            let refused: Failure = match read(catalogue, reader, writer) {
                Err(refused) => refused.into(),
                Ok(read) => try_requirements(catalogue, &read).await.unwrap_err(),
            };
            assert_eq!(refused.exit_code(), 2, "{refused:?}");
        }
    });
}

#[test]
fn every_parameter_of_a_built_in_plugin_is_described() {
    with_catalogue(async |catalogue| {
        let mut properties = 0;
        for (plugin, _) in catalogue.all() {
            for kind in &plugin.description.types {
                let roles = [&kind.reader, &kind.writer].into_iter().flatten();
                let schemas = roles.map(|role| &role.parameter_schema);
                for schema in schemas.chain([&kind.connection_schema]) {
                    spec::schema::Schema::parse(schema).unwrap();
                    let schema: Value = serde_json::from_str(schema).unwrap();
                    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
                        let described = property["description"].is_string();
                        assert!(described, "{} of {} says nothing", name, kind.name);
                        properties += 1;
                    }
                }
            }
        }
        assert!(properties > 40, "{properties}");
        assert!(catalogue.take_faults().is_empty());
    });
}
