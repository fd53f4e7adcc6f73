//! `airlock check JOB|SOURCE`: connects, authenticates and looks, step by step.

use domain::description::CheckStep;
use domain::fault::Fault;
use serde_json::{Value, json};

use crate::arguments::TargetArguments;
use crate::failure::{Ending, exit_code};
use crate::host::Host;
use crate::render::{escape, fault};
use crate::target::Target;

/// The exit code when a step failed: something outside is not as the job needs it.
const EXIT_FAILED: u8 = 3;

/// What one end said.
struct Checked {
    side: &'static str,
    title: String,
    source_type: String,
    steps: Vec<CheckStep>,
    /// Why there are no more steps: the plug-in itself failed.
    fault: Option<Fault>,
}

pub(crate) async fn check(host: &Host, arguments: &TargetArguments) -> Ending {
    let target = Target::open(host, arguments).await?;
    let mut checked = Vec::new();
    // Each end is tried, whatever the other said.
    for end in &target.ends {
        let locate = |fault| target.locator.locate_in(&end.word, fault);
        let answer = end.plugin.component.check(&end.configuration, &end.reach).await;
        let (steps, fault) = match answer {
            Ok(steps) => (steps, None),
            Err(fault) => (Vec::new(), Some(locate(fault))),
        };
        let located = |step: CheckStep| CheckStep { fault: step.fault.map(locate), ..step };
        checked.push(Checked {
            side: end.side().word(),
            title: end.title(),
            source_type: end.configuration.source_type.clone(),
            steps: steps.into_iter().map(located).collect(),
            fault,
        });
    }
    let text = || {
        target.tell_warnings(host);
        text(&checked)
    };
    host.result(text, || json(&checked, &target.warnings))?;
    Ok(code(&checked))
}

fn code(checked: &[Checked]) -> u8 {
    match checked.iter().find_map(|end| end.fault.as_ref()) {
        Some(fault) => exit_code(std::slice::from_ref(fault)),
        None if first_fault(checked).is_some() => EXIT_FAILED,
        None => 0,
    }
}

fn first_fault(checked: &[Checked]) -> Option<&Fault> {
    checked.iter().find_map(|end| {
        end.steps.iter().find_map(|step| step.fault.as_ref()).or(end.fault.as_ref())
    })
}

fn text(checked: &[Checked]) -> String {
    let mut text = String::new();
    for end in checked {
        let why = |fault| fault::text(fault).replace('\n', "\n          ");
        text += &format!("{}\n", end.title);
        for step in &end.steps {
            let name = escape::line(&step.name);
            text += &match &step.fault {
                None => format!("  ok      {name}\n"),
                Some(fault) => format!("  failed  {name}: {}\n", why(fault)),
            };
        }
        if let Some(fault) = &end.fault {
            text += &format!("  failed  {}\n", why(fault));
        }
    }
    text
}

fn json(checked: &[Checked], warnings: &[Fault]) -> Value {
    let failed = first_fault(checked);
    let step = |step: &CheckStep| {
        let error = step.fault.as_ref().map(fault::json);
        json!({"name": step.name, "ok": step.fault.is_none(), "error": error})
    };
    let end = |end: &Checked| {
        let steps: Vec<_> = end.steps.iter().map(step).collect();
        let error = end.fault.as_ref().map(fault::json);
        json!({"side": end.side, "type": end.source_type, "steps": steps, "error": error})
    };
    json!({
        "status": if failed.is_some() { "failed" } else { "succeeded" },
        "checks": checked.iter().map(end).collect::<Vec<_>>(),
        "warnings": warnings.iter().map(fault::json).collect::<Vec<_>>(),
        "error": failed.map(fault::json),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_told_one_by_one() {
        let fault = Fault::external("postgresql.password", "the password is wrong").hint("set it");
        let steps = vec![
            CheckStep { name: "connect".into(), fault: None },
            CheckStep { name: "authenticate".into(), fault: Some(fault) },
        ];
        let title = "reader \"postgresql\"".into();
        let source_type = "postgresql".into();
        let checked = [Checked { side: "reader", title, source_type, steps, fault: None }];
        assert_eq!(
            text(&checked),
            "\
reader \"postgresql\"
  ok      connect
  failed  authenticate: the password is wrong [postgresql.password]
            fix: set it
"
        );
        assert_eq!(code(&checked), 3);
        let object = json(&checked, &[]);
        assert_eq!(object["status"], "failed");
        assert_eq!(object["checks"][0]["steps"][1]["ok"], false);
        assert_eq!(object["error"]["code"], "postgresql.password");
    }

    #[test]
    fn an_end_that_fails_as_a_whole_decides_the_code() {
        let end = |side, fault| Checked {
            side,
            title: side.into(),
            source_type: "x".into(),
            steps: vec![CheckStep { name: "open".into(), fault: None }],
            fault,
        };
        let trapped = Fault::plugin("plugin.trap", "it trapped");
        let checked = [end("reader", Some(trapped)), end("writer", None)];
        assert_eq!(code(&checked), 4);
        let told = "  ok      open\n  failed  it trapped [plugin.trap]\nwriter\n  ok      open\n";
        assert!(text(&checked).ends_with(told), "{}", text(&checked));
        assert_eq!(json(&checked, &[])["error"]["code"], "plugin.trap");
    }
}
