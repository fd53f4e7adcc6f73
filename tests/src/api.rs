//! An HTTP API of a test's own, in Python: `api.py` says what it does at each path.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::{Env, tree};

/// A server. Dropped, it is ended.
pub struct Api {
    child: Child,
    port: u16,
    log: PathBuf,
    is_https: bool,
}

impl Drop for Api {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Api {
    pub fn start(env: &Env) -> Self {
        Self::run(env, None)
    }

    /// With the certificate `server.crt` and its key in `folder`.
    pub fn with_tls(env: &Env, folder: &Path) -> Self {
        Self::run(env, Some(folder))
    }

    fn run(env: &Env, certificate: Option<&Path>) -> Self {
        let log = env.root().join("requests.jsonl");
        let mut command = Command::new(tree::python());
        command.arg(tree::tests().join("src/api.py")).arg(&log);
        if let Some(folder) = certificate {
            command.args([folder.join("server.crt"), folder.join("server.key")]);
        }
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().parse().expect("the server says its port");
        Self { child, port, log, is_https: certificate.is_some() }
    }

    /// Where it answers.
    pub fn url(&self) -> String {
        match self.is_https {
            true => format!("https://localhost:{}", self.port),
            false => format!("http://127.0.0.1:{}", self.port),
        }
    }

    /// Makes it the data source `api`, with more properties.
    pub fn admit(&self, env: &Env, more: Value) {
        let mut properties = json!({"url": self.url()});
        properties.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let source = json!({"api": {"type": "restapi", "properties": properties}});
        env.write_json("datasources.json", &source);
    }

    /// What it was asked, in order.
    pub fn requests(&self) -> Vec<Value> {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The paths that it was asked for, queries included.
    pub fn paths(&self) -> Vec<String> {
        let path = |request: Value| request["path"].as_str().unwrap().to_owned();
        self.requests().into_iter().map(path).collect()
    }
}
