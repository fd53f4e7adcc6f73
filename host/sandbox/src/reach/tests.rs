use std::os::unix::fs::symlink;

use domain::FaultDomain;

use super::*;

fn grant(path: &str, access: Access) -> Grant {
    let place = Place::Directory { path: path.into(), access };
    let requirement = Requirement::Directory { path: path.into(), access };
    Grant { requirement, place, origin: "/steps/0/parameter/path".into() }
}

fn reach(base: &Path, path: &str, access: Access) -> Reach {
    Reach::new(&[grant(path, access)], base).unwrap()
}

#[test]
fn a_file_is_opened_without_what_lies_beside_it() {
    let base = tempfile::tempdir().unwrap();
    fs::create_dir_all(base.path().join("in")).unwrap();
    fs::create_dir_all(base.path().join("archive")).unwrap();
    for file in ["in/a.csv", "b.csv", "archive/x.csv"] {
        fs::write(base.path().join(file), file).unwrap();
    }
    symlink("archive/x.csv", base.path().join("latest.csv")).unwrap();
    for (path, folder, name, real) in [
        ("in/a.csv", "in", "a.csv", "in/a.csv"),
        ("b.csv", ".", "b.csv", "b.csv"),
        ("latest.csv", ".", "latest.csv", "archive/x.csv"),
    ] {
        let opened = reach(base.path(), path, Access::Read).open(&[]).unwrap();
        assert_eq!((opened.folders.len(), opened.folders[0].name.as_str()), (1, folder), "{path}");
        assert_eq!(opened.folders[0].dir.entries().unwrap().count(), 0);
        let file = &opened.files[0];
        assert_eq!((file.folder.as_str(), file.name.as_str()), (folder, name));
        let hidden = &opened.hidden[file.hidden].dir;
        assert_eq!(hidden.read_to_string(&file.real).unwrap(), real, "{path}");
    }
}

#[test]
fn a_file_is_seen_under_the_guests_name_with_those_beside_it() {
    let base = tempfile::tempdir().unwrap();
    fs::create_dir(base.path().join("data")).unwrap();
    fs::write(base.path().join("data/shop.db"), "x").unwrap();
    symlink("data/shop.db", base.path().join("link.db")).unwrap();
    let open = |path: &str, access| {
        let place = Place::Directory { path: path.into(), access };
        let requirement = Requirement::File { path: path.into(), access, name: "main".into() };
        let grant = Grant { requirement, place, origin: "/connection/path".into() };
        let reach = Reach::new(&[grant], base.path()).unwrap();
        assert!(!reach.make_folders().unwrap());
        reach.open(&[])
    };
    for access in [Access::Read, Access::Write] {
        for path in ["data/shop.db", "link.db", "data/../data/shop.db"] {
            let opened = open(path, access).unwrap();
            let seen: Vec<_> =
                opened.files.iter().map(|file| (file.name.as_str(), file.real.as_str())).collect();
            assert_eq!(seen[..2], [("main", "shop.db"), ("main-journal", "shop.db-journal")]);
            assert_eq!(seen[2..], [("main-wal", "shop.db-wal"), ("main-shm", "shop.db-shm")]);
            assert_eq!(opened.folders[0].dir.entries().unwrap().count(), 0);
            assert_eq!((opened.hidden.len(), opened.hidden[0].access), (1, access));
            assert_eq!(opened.hidden[0].dir.read_to_string("shop.db").unwrap(), "x");
        }
    }
    let code = |path: &str, access| open(path, access).err().unwrap().code;
    assert_eq!(code("data/new.db", Access::Read), "reach.not_found");
    assert_eq!(open("data/new.db", Access::Write).unwrap().files[0].real, "new.db");
    assert_eq!(code("none/new.db", Access::Write), "reach.not_found");
    assert_eq!(code("data", Access::Write), "reach.not_a_file");
}

#[test]
fn a_folder_is_opened_whole_and_once() {
    let base = tempfile::tempdir().unwrap();
    fs::create_dir(base.path().join("in")).unwrap();
    for file in ["in/a.csv", "in/b.csv"] {
        fs::write(base.path().join(file), "x").unwrap();
    }
    let grants = ["in/a.csv", "in/*.csv", "in", "in/b.csv"].map(|path| grant(path, Access::Read));
    let opened = Reach::new(&grants, base.path()).unwrap().open(&[]).unwrap();
    assert_eq!((opened.folders.len(), opened.files.len(), opened.hidden.len()), (1, 2, 1));
    assert_eq!(opened.folders[0].dir.read_to_string("b.csv").unwrap(), "x");
}

#[test]
fn a_readers_folder_must_exist_and_a_writers_may_come() {
    let base = tempfile::tempdir().unwrap();
    let fault = reach(base.path(), "no", Access::Read).open(&[]).err().unwrap();
    assert_eq!(fault.code, "reach.not_found");
    assert_eq!(fault.place.as_deref(), Some("/steps/0/parameter/path"));
    let reach = reach(base.path(), "no/deep", Access::Write);
    let opened = reach.open(&[]).unwrap();
    assert_eq!(opened.folders[0].name, "no/deep");
    assert_eq!(opened.folders[0].dir.entries().unwrap().count(), 0);
    assert!(opened.folders[0].dir.create("x").is_err());
    assert!(!base.path().join("no").exists());
    assert!(reach.make_folders().unwrap());
    assert!(!reach.make_folders().unwrap());
    assert!(reach.open(&[]).unwrap().folders[0].dir.create("x").is_ok());
}

#[test]
fn a_writer_gets_no_folder_around_a_file() {
    let base = tempfile::tempdir().unwrap();
    fs::write(base.path().join("file"), "").unwrap();
    let fault = reach(base.path(), "file", Access::Write).open(&[]).err().unwrap();
    assert_eq!(fault.code, "reach.not_a_folder");
    let fault = reach(base.path(), "file/x", Access::Write).make_folders().unwrap_err();
    assert_eq!(fault.code, "grant.folder");
    assert_eq!(fault.place.as_deref(), Some("/steps/0/parameter/path"));
}

#[test]
fn t48_links_do_not_lead_out_of_an_operators_folder() {
    let base = tempfile::tempdir().unwrap();
    let (inside, outside) = (base.path().join("inside"), base.path().join("outside"));
    for folder in [&inside, &outside] {
        fs::create_dir(folder).unwrap();
    }
    fs::write(inside.join("a.csv"), "").unwrap();
    symlink(&outside, inside.join("link")).unwrap();
    let open = |path: &str, access| {
        let place = Place::Tree { path: inside.clone(), access };
        let requirement = Requirement::Directory { path: path.into(), access };
        let grant = Grant { requirement, place, origin: "--allow-read".into() };
        let reach = Reach::new(&[grant], &inside).unwrap();
        reach.open(&[]).map(drop).and_then(|()| reach.make_folders().map(drop))
    };
    assert_eq!(open("a.csv", Access::Read), Ok(()));
    assert_eq!(open("new/deep", Access::Write), Ok(()));
    for (path, access) in [("link", Access::Read), ("link/new", Access::Write)] {
        assert_eq!(open(path, access).unwrap_err().code, "reach.outside", "{path}");
    }
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
}

#[test]
fn t16_own_addresses_need_a_written_port() {
    let open = |host: &str, place: Place| {
        let requirement = Requirement::Tcp { host: host.into(), first_port: 5432, last_port: 5432 };
        let grant = Grant { requirement, place, origin: "/connection/host".into() };
        Reach::new(&[grant], Path::new("/"))
    };
    for host in ["127.0.0.1", "10.0.0.1", "[::1]", "localhost", "169.254.169.254"] {
        let fault = open(host, Place::Host { host: host.into(), port: 5432 }).unwrap_err();
        assert_eq!(fault.code, "reach.port_not_written", "{host}");
        assert!(fault.hint.unwrap().contains("5432"));
        assert!(open(host, Place::Tcp { host: host.into(), port: 5432 }).is_ok(), "{host}");
    }
    for host in ["db.example", "192.0.66.1"] {
        assert!(open(host, Place::Host { host: host.into(), port: 5432 }).is_ok(), "{host}");
    }
}

#[test]
fn t49_no_folder_to_write_to_touches_the_hosts_own() {
    let base = tempfile::tempdir().unwrap();
    for folder in ["home/state/cache", "home/out"] {
        fs::create_dir_all(base.path().join(folder)).unwrap();
    }
    symlink("home", base.path().join("link")).unwrap();
    let own = [base.path().canonicalize().unwrap().join("home/state")];
    for path in
        ["home", "link", "home/out/..", "home/state", "home/state/cache", "link/state/cache"]
    {
        let open = |access| reach(base.path(), path, access).open(&own).map(drop);
        let fault = open(Access::Write).unwrap_err();
        assert_eq!((fault.code.as_str(), fault.domain), ("reach.own_folder", FaultDomain::User));
        open(Access::Read).unwrap();
    }
    reach(base.path(), "home/out", Access::Write).open(&own).map(drop).unwrap();
    reach(base.path(), "home/new", Access::Write).open(&own).map(drop).unwrap();
}
