//! `airlock check JOB|SOURCE`: connects, authenticates and looks, step by step.

use domain::description::CheckStep;
use domain::fault::Fault;
use serde_json::{Value, json};

use crate::arguments::TargetArguments;
use crate::failure::Ending;
use crate::host::Host;
use crate::render::fault;
use crate::target::Target;

/// The exit code when a step failed: something outside is not as the job needs it.
const EXIT_FAILED: u8 = 3;

/// What one end said.
struct Checked {
    side: &'static str,
    title: String,
    source_type: String,
    steps: Vec<CheckStep>,
}

pub(crate) async fn check(host: &Host, arguments: &TargetArguments) -> Ending {
    let target = Target::open(host, arguments).await?;
    let mut checked = Vec::new();
    for end in &target.ends {
        let locate = |fault| target.locator.locate_in(end.side(), fault);
        let steps =
            end.plugin.component.check(&end.configuration, &end.reach).await.map_err(locate)?;
        let located = |step: CheckStep| CheckStep { fault: step.fault.map(locate), ..step };
        checked.push(Checked {
            side: end.side().word(),
            title: end.title(),
            source_type: end.configuration.source_type.clone(),
            steps: steps.into_iter().map(located).collect(),
        });
    }
    let failed = first_fault(&checked);
    host.console.result(|| text(&checked), || json(&checked, failed))?;
    Ok(if failed.is_some() { EXIT_FAILED } else { 0 })
}

fn first_fault(checked: &[Checked]) -> Option<&Fault> {
    checked.iter().flat_map(|end| &end.steps).find_map(|step| step.fault.as_ref())
}

fn text(checked: &[Checked]) -> String {
    let mut text = String::new();
    for end in checked {
        text += &format!("{}\n", end.title);
        for step in &end.steps {
            match &step.fault {
                None => text += &format!("  ok      {}\n", step.name),
                Some(fault) => {
                    let why = fault::text(fault).replace('\n', "\n          ");
                    text += &format!("  failed  {}: {why}\n", step.name);
                }
            }
        }
    }
    text
}

fn json(checked: &[Checked], failed: Option<&Fault>) -> Value {
    let step = |step: &CheckStep| {
        let error = step.fault.as_ref().map(fault::json);
        json!({"name": step.name, "ok": step.fault.is_none(), "error": error})
    };
    let end = |end: &Checked| {
        let steps: Vec<_> = end.steps.iter().map(step).collect();
        json!({"side": end.side, "type": end.source_type, "steps": steps})
    };
    json!({
        "status": if failed.is_some() { "failed" } else { "succeeded" },
        "checks": checked.iter().map(end).collect::<Vec<_>>(),
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
        let checked = [Checked { side: "reader", title, source_type: "postgresql".into(), steps }];
        assert_eq!(
            text(&checked),
            "\
reader \"postgresql\"
  ok      connect
  failed  authenticate: the password is wrong [postgresql.password]
            fix: set it
"
        );
        let object = json(&checked, first_fault(&checked));
        assert_eq!(object["status"], "failed");
        assert_eq!(object["checks"][0]["steps"][1]["ok"], false);
        assert_eq!(object["error"]["code"], "postgresql.password");
    }
}
