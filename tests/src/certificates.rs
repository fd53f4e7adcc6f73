//! Certificates for servers of tests, made by `openssl`.

use std::path::Path;
use std::process::Command;

fn openssl(folder: &Path, arguments: &str) {
    let output =
        Command::new("openssl").current_dir(folder).args(arguments.split(' ')).output().unwrap();
    assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Makes an authority `ca.pem`, another `other.pem`, and `server.key` and `server.crt` for `localhost`.
pub fn make(folder: &Path) {
    const CURVE: &str = "ec -pkeyopt ec_paramgen_curve:prime256v1";
    for name in ["ca", "other"] {
        openssl(
            folder,
            &format!(
                "req -x509 -newkey {CURVE} -nodes -days 30 -subj /CN={name} -keyout {name}.key -out {name}.pem"
            ),
        );
    }
    openssl(
        folder,
        &format!(
            "req -newkey {CURVE} -nodes -subj /CN=localhost -keyout server.key -out server.csr"
        ),
    );
    std::fs::write(folder.join("names"), "subjectAltName=DNS:localhost\n").unwrap();
    openssl(
        folder,
        "x509 -req -days 30 -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -extfile names -out server.crt",
    );
}
