use std::net::TcpStream;

use super::*;

#[test]
fn a_server_counts_logins_and_holds_locks() {
    let server = PgServer::shared();
    let database = server.database();
    database.setup("create table numbers (n int); insert into numbers values (1), (2)");
    assert_eq!(database.count("select sum(n) from numbers"), 3);
    assert_eq!(database.logins(), 0, "the tests' own sessions do not count");
    let login = |password| {
        let mut client = server.client(&database.name);
        client.arg(format!("--username={USER}")).env("PGPASSWORD", password).stdin(Stdio::null());
        client.output().unwrap().status.success()
    };
    assert!(login(PASSWORD));
    assert!(!login("wrong"));
    assert_eq!(database.logins(), 1);
    let held = database.hold("lock table numbers");
    let locks = "select count(*) from pg_locks where relation = 'numbers'::regclass";
    assert_eq!(database.count(locks), 1);
    drop(held);
    assert_eq!(database.count(locks), 0);
}

#[test]
fn a_stopped_server_leaves_nothing() {
    let mut server = PgServer::start();
    let folder = server.folder.clone();
    assert!(folder.exists());
    server.stop();
    assert!(!folder.exists());
    assert!(TcpStream::connect(("127.0.0.1", server.port)).is_err());
}

/// Every folder's `setup.sql` is good SQL, so that a job that fails fails for its own reasons.
#[test]
fn all_setups_run() {
    let server = PgServer::shared();
    for entry in fs::read_dir(crate::tree::tests().join("jobs")).unwrap() {
        if let Ok(setup) = fs::read_to_string(entry.unwrap().path().join("setup.sql")) {
            server.database().setup(&setup);
        }
    }
}
