use super::*;

fn parse(line: &str) -> Arguments {
    Arguments::try_parse_from(line.split(' ')).unwrap()
}

fn run(line: &str) -> Box<RunArguments> {
    match parse(line).command {
        Command::Run(arguments) => arguments,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_definitions_hold() {
    Arguments::command().debug_assert();
}

#[test]
fn empty_variables_count_as_unset() {
    let variables = |is_empty: &dyn Fn(&OsStr) -> bool| {
        let command = without(Arguments::command(), is_empty);
        let run = command.find_subcommand("run").unwrap();
        let all = command.get_arguments().chain(run.get_arguments());
        let named = all.filter_map(|argument| argument.get_env()).map(OsStr::to_owned);
        named.collect::<Vec<_>>()
    };
    let all = ["AIRLOCK_OUTPUT", "AIRLOCK_STATE_DIR", "AIRLOCK_PROGRESS", "AIRLOCK_SOURCES"];
    assert_eq!(variables(&|_| false), all);
    assert_eq!(variables(&|name| name != "AIRLOCK_PROGRESS"), ["AIRLOCK_PROGRESS"]);
}

#[test]
fn resume_takes_a_run_only_behind_a_sign() {
    assert_eq!(run("airlock run job.json").resume, None);
    assert_eq!(run("airlock run --resume job.json").resume, Some(None));
    assert_eq!(run("airlock run job.json --resume=r1").resume, Some(Some("r1".into())));
}

#[test]
fn options_stand_anywhere_and_repeat() {
    let run =
        run("airlock run job.json -p a=1 -p b=$bizdate --allow-net db:1 --limit memory=64MiB");
    let job = &run.sandboxed.job;
    assert_eq!(job.input.parameters, ["a=1", "b=$bizdate"]);
    assert_eq!(run.sandboxed.grants.net, ["db:1"]);
    assert_eq!(run.sandboxed.limits.limits, ["memory=64MiB"]);
    assert_eq!(parse("airlock run job.json -o json").common.output, Format::Json);
    assert_eq!(parse("airlock -o json run job.json").common.output, Format::Json);
}

#[test]
fn a_sample_without_a_number_is_ten_rows() {
    let sample = |line: &str| match parse(line).command {
        Command::Discover(arguments) => arguments.sample,
        other => panic!("{other:?}"),
    };
    assert_eq!(sample("airlock discover job.json --sample"), Some(10));
    assert_eq!(sample("airlock discover job.json --sample 3"), Some(3));
    assert_eq!(sample("airlock discover warehouse public"), None);
}

#[test]
fn every_command_and_option_has_help() {
    let mut command = Arguments::command();
    command.build();
    let mut waiting = vec![command];
    while let Some(command) = waiting.pop() {
        assert!(command.get_about().is_some(), "{}", command.get_name());
        for argument in command.get_arguments().filter(|argument| argument.get_id() != "shell") {
            assert!(argument.get_help().is_some(), "{} {}", command.get_name(), argument.get_id());
        }
        waiting.extend(command.get_subcommands().cloned());
    }
}

/// The first column of a help text: what scripts and fingers rely on.
fn words(mut command: clap::Command, name: &str) -> Vec<String> {
    command.build();
    let command = command.find_subcommand_mut(name).unwrap();
    let options = command.get_opts().map(|option| format!("--{}", option.get_long().unwrap()));
    options.collect()
}

#[test]
fn the_options_of_run() {
    assert_eq!(
        words(Arguments::command(), "run"),
        [
            "--resume",
            "--verify-key",
            "--progress",
            "--parameter",
            "--bizdate",
            "--cyctime",
            "--sources",
            "--plugin",
            "--allow-net",
            "--allow-read",
            "--allow-write",
            "--limit",
            "--output",
            "--state-dir",
        ]
    );
}

#[test]
fn the_help_begins_with_what_it_is_and_ends_with_examples() {
    let help = Arguments::command().render_help().to_string();
    assert!(help.starts_with("Moves data between systems;"), "{help}");
    for command in [
        "run",
        "validate",
        "plan",
        "check",
        "discover",
        "plugin",
        "runs",
        "convert",
        "dirty",
        "doctor",
        "completions",
    ] {
        assert!(help.contains(&format!("\n  {command} ")), "{command} is not in {help}");
    }
    let examples = help.split("Examples:").nth(1).unwrap();
    assert!(examples.contains("airlock run job.json --resume"), "{help}");
    assert!(examples.contains("130 and 143 interrupted"), "{help}");
}
