//! Arguments that cannot be read, and the requests for help and version, which clap answers as errors.

use clap::Error;
use clap::error::ErrorKind;
use domain::fault::Fault;
use serde_json::Map;

use crate::arguments::Format;
use crate::console::Console;
use crate::environment::Environment;

/// Tells what is wrong, or what was asked for, and answers the exit code.
pub(crate) fn tell(error: &Error, environment: &Environment) -> u8 {
    let help = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    let arguments: Vec<_> = std::env::args().collect();
    if help || !wants_json(&arguments, environment.variable("AIRLOCK_OUTPUT")) {
        // To standard output or standard error, as it should be; nobody is told if that is closed.
        let _ = error.print();
        return u8::try_from(error.exit_code()).unwrap_or(2);
    }
    let failure = fault(error).into();
    Console::new(Format::Json, environment).tell(&failure, Map::new());
    failure.exit_code()
}

fn fault(error: &Error) -> Fault {
    // What is wrong stands before the first empty line, the usage behind it.
    let text = error.to_string();
    let lines = || text.lines().map(str::trim);
    let wrong: Vec<_> = lines().take_while(|line| !line.is_empty()).collect();
    let message = match error.kind() {
        // Nothing is wrong but that something is missing: the text is that of the help.
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => {
            "a command is missing".to_owned()
        }
        _ => wrong.join(" ").trim_start_matches("error: ").to_owned(),
    };
    let usage = lines().find_map(|line| line.strip_prefix("Usage: "));
    let hint = match usage {
        Some(usage) => format!("usage: {usage}; \"airlock --help\" shows what can be typed"),
        None => "\"airlock --help\" shows what can be typed".to_owned(),
    };
    Fault::user("arguments.invalid", message).hint(hint)
}

/// Whether JSON is asked for by arguments that could not be read, or by the environment.
fn wants_json(arguments: &[String], variable: Option<&str>) -> bool {
    let together = ["-ojson", "-o=json", "--output=json"];
    let apart =
        |pair: &[String]| ["-o", "--output"].contains(&pair[0].as_str()) && pair[1] == "json";
    arguments.iter().any(|text| together.contains(&text.as_str()))
        || arguments.windows(2).any(apart)
        || variable == Some("json")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::arguments::Arguments;

    fn told(line: &str) -> (String, String) {
        let fault = fault(&Arguments::try_parse_from(line.split(' ')).unwrap_err());
        (fault.message, fault.hint.unwrap())
    }

    #[test]
    fn a_missing_command_is_told_with_the_usage() {
        for line in ["airlock -o json", "airlock", "airlock plugin -o json"] {
            let (message, hint) = told(line);
            assert_eq!(message, "a command is missing", "{line}");
            assert!(hint.starts_with("usage: airlock "), "{line}: {hint}");
        }
        let (message, _) = told("airlock run a.json --limits x");
        assert!(message.starts_with("unexpected argument '--limits' found"), "{message}");
    }

    #[test]
    fn json_is_asked_for_by_words_or_the_environment() {
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        for line in ["airlock -o json", "airlock -ojson", "airlock x --output json"] {
            assert!(wants_json(&words(line), None), "{line}");
        }
        assert!(wants_json(&words("airlock"), Some("json")));
        assert!(!wants_json(&words("airlock json"), None));
    }
}
