//! What can be typed: the doc comments here are the help texts.

use std::ffi::OsStr;
use std::path::PathBuf;

use clap::builder::Resettable;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

const EXAMPLES: &str = "\
Examples:
  airlock run job.json --bizdate 20251031       run a job for a business date
  airlock run job.json --resume                 go on with the newest unfinished run
  airlock run job.json --verify                 read back what was written, and compare it
  airlock plan job.json                         show what a run would do, change nothing
  airlock validate job.json                     find all errors of a document at once
  airlock check warehouse                       try a data source, step by step
  airlock discover warehouse public orders      show the columns of a table
  airlock convert datax.json > job.json         turn a DataX document into script mode
  airlock dirty list RUN                        show why records of a run were dirty

Exit codes: 0 done, 1 internal, 2 invalid document or arguments, 3 the outside world,
4 the run failed on its data, 130 and 143 interrupted.";

/// Moves data between systems; every reader and writer runs in a sandbox of its own.
#[derive(Debug, Parser)]
#[command(name = "airlock", version, after_help = EXAMPLES, max_term_width = 100)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    disable_help_subcommand = true
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Command {
    /// Whether the statements of plug-ins are to be shown.
    pub(crate) fn explains(&self) -> bool {
        match self {
            Self::Run(arguments) => arguments.sandboxed.explain,
            Self::Plan(arguments) => arguments.explain,
            Self::Check(arguments) => arguments.explain,
            Self::Discover(arguments) => arguments.target.explain,
            Self::Dirty(DirtyCommand::Replay(arguments)) => arguments.explain,
            _ => false,
        }
    }
}

impl Arguments {
    /// Those of this process.
    ///
    /// # Errors
    /// What clap answers: also the requests for help and version.
    pub(crate) fn read() -> Result<Self, clap::Error> {
        let is_empty = |name: &OsStr| std::env::var_os(name).is_some_and(|text| text.is_empty());
        Self::from_arg_matches(&without(Self::command(), &is_empty).try_get_matches()?)
    }
}

/// The command without the environment variables that are empty, which are as good as none.
fn without(command: clap::Command, is_empty: &dyn Fn(&OsStr) -> bool) -> clap::Command {
    let command = command.mut_args(|argument| match argument.get_env() {
        Some(name) if is_empty(name) => argument.env(Resettable::Reset),
        _ => argument,
    });
    command.mut_subcommands(|command| without(command, is_empty))
}

#[derive(Args, Debug)]
pub(crate) struct Common {
    /// How results are written: text for people, or one JSON object on standard output
    #[arg(
        short,
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "FORMAT",
        env = "AIRLOCK_OUTPUT",
        hide_env = true
    )]
    pub(crate) output: Format,
    /// Folder of state and compile cache [default: the XDG folders]
    #[arg(long, global = true, value_name = "FOLDER", env = "AIRLOCK_STATE_DIR")]
    pub(crate) state_dir: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    #[default]
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a job, or go on with an unfinished run
    Run(Box<RunArguments>),
    /// Find all errors and warnings of a job document; reaches nothing
    Validate(JobArguments),
    /// Show what a run would do: datasets, splits, mapping, casts, grants; changes nothing
    Plan(SandboxedJobArguments),
    /// Try a job's two sides, or one data source, step by step
    Check(TargetArguments),
    /// Show what a data source holds, or the first rows of a job's reader
    Discover(Box<DiscoverArguments>),
    /// Look at plug-ins
    #[command(subcommand, arg_required_else_help = true)]
    Plugin(PluginCommand),
    /// List recent runs, or show one with its tasks, times and advice
    Runs(RunsArguments),
    /// Write a report of a run with plots of its rates as one HTML file
    Report(ReportArguments),
    /// Write a DataX document as one of script mode to standard output; reaches nothing
    Convert(ConvertArguments),
    /// Look at the dirty records of a run, or send them again
    #[command(subcommand, arg_required_else_help = true)]
    Dirty(DirtyCommand),
    /// Look at, or set, where the next run of a job goes on
    #[command(subcommand, arg_required_else_help = true)]
    Watermark(WatermarkCommand),
    /// Look whether this machine has what a run needs
    Doctor(LimitArguments),
    /// Write a completion script for a shell to standard output
    Completions(CompletionsArguments),
}

/// A document and what its text depends on.
#[derive(Args, Clone, Debug)]
pub(crate) struct JobArguments {
    /// The job document, or "-" for standard input
    #[arg(value_name = "JOB")]
    pub(crate) job: PathBuf,
    #[command(flatten)]
    pub(crate) input: InputArguments,
}

#[derive(Args, Clone, Debug, Default)]
pub(crate) struct InputArguments {
    /// Give a variable its value: a constant, or an expression such as $bizdate (repeatable)
    #[arg(short, long = "parameter", value_name = "NAME=VALUE")]
    pub(crate) parameters: Vec<String>,
    /// Business date, such as 20251031 [default: the day before the scheduled time]
    #[arg(long, value_name = "DATE")]
    pub(crate) bizdate: Option<String>,
    /// Scheduled time, such as 20251101023045 [default: now]
    #[arg(long, value_name = "TIME")]
    pub(crate) cyctime: Option<String>,
    /// File of data sources [default: datasources.json beside the document]
    #[arg(long, value_name = "FILE", env = "AIRLOCK_SOURCES", hide_env = true)]
    pub(crate) sources: Option<PathBuf>,
    /// Bring in a plug-in that is not built in (repeatable)
    #[arg(long = "plugin", value_name = "FILE")]
    pub(crate) plugins: Vec<PathBuf>,
}

/// Places that plug-ins may reach although no document names them.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Grants")]
pub(crate) struct GrantArguments {
    /// Let plug-ins connect to a host and port, or request below a URL (repeatable)
    #[arg(long = "allow-net", value_name = "HOST:PORT")]
    pub(crate) net: Vec<String>,
    /// Let plug-ins read a folder (repeatable)
    #[arg(long = "allow-read", value_name = "FOLDER")]
    pub(crate) read: Vec<String>,
    /// Let plug-ins write a folder (repeatable)
    #[arg(long = "allow-write", value_name = "FOLDER")]
    pub(crate) write: Vec<String>,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct SandboxedJobArguments {
    #[command(flatten)]
    pub(crate) job: JobArguments,
    /// Show the statements that plug-ins sent to databases, of those that differ only in values the first
    #[arg(long)]
    pub(crate) explain: bool,
    #[command(flatten)]
    pub(crate) grants: GrantArguments,
    #[command(flatten)]
    pub(crate) limits: LimitArguments,
}

#[derive(Args, Debug)]
pub(crate) struct RunArguments {
    /// Go on with a run [default: the newest unfinished run of this document]
    #[arg(long, value_name = "RUN", num_args = 0..=1, require_equals = true)]
    pub(crate) resume: Option<Option<String>>,
    /// Read back what the run wrote, and compare it with what was read
    #[arg(long)]
    pub(crate) verify: bool,
    /// Tell rows apart by these columns of the destination when they are verified [default: its
    /// key, else the source's]
    #[arg(long, value_name = "COLUMN,...", value_delimiter = ',', requires = "verify")]
    pub(crate) verify_key: Vec<String>,
    /// How progress is shown on standard error: bars on a terminal and lines elsewhere, JSON
    /// lines, or not at all
    #[arg(
        long,
        value_enum,
        default_value_t,
        value_name = "MODE",
        env = "AIRLOCK_PROGRESS",
        hide_env = true
    )]
    pub(crate) progress: ProgressMode,
    // Last, since its headings hold for all that follows.
    #[command(flatten)]
    pub(crate) sandboxed: SandboxedJobArguments,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressMode {
    #[default]
    Auto,
    Json,
    None,
}

#[derive(Args, Debug)]
pub(crate) struct TargetArguments {
    /// A job document, "-" for one on standard input, or the name of a data source
    #[arg(value_name = "JOB|SOURCE", index = 1)]
    pub(crate) target: PathBuf,
    #[command(flatten)]
    pub(crate) input: InputArguments,
    /// Show the statements that plug-ins sent to databases, of those that differ only in values the first
    #[arg(long)]
    pub(crate) explain: bool,
    #[command(flatten)]
    pub(crate) grants: GrantArguments,
    #[command(flatten)]
    pub(crate) limits: LimitArguments,
}

#[derive(Args, Debug)]
pub(crate) struct DiscoverArguments {
    /// Show the first rows that the reader of a job reads
    #[arg(long, value_name = "ROWS", num_args = 0..=1, default_missing_value = "10", conflicts_with = "path")]
    pub(crate) sample: Option<u32>,
    /// What to look at, from the outside in: a schema, then a table
    #[arg(value_name = "PATH", index = 2)]
    pub(crate) path: Vec<String>,
    // Last, since its headings hold for all that follows.
    #[command(flatten)]
    pub(crate) target: TargetArguments,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PluginCommand {
    /// List the built-in plug-ins and their data source types
    List(PluginListArguments),
    /// Show a plug-in: its types, roles, parameters and connection properties
    Inspect(PluginInspectArguments),
    /// Compile plug-ins into the cache now, so that no run has to wait for that
    Warm(PluginWarmArguments),
}

#[derive(Args, Debug)]
pub(crate) struct PluginListArguments {
    /// List this plug-in too (repeatable)
    #[arg(long = "plugin", value_name = "FILE")]
    pub(crate) plugins: Vec<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct PluginWarmArguments {
    /// A component's file, beside the built-in plug-ins
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct PluginInspectArguments {
    /// The name of a plug-in or of a data source type, or a component's file
    #[arg(value_name = "NAME|FILE")]
    pub(crate) plugin: String,
}

#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct RunsArguments {
    #[command(subcommand)]
    pub(crate) command: Option<RunsCommand>,
    /// Runs to list at most, the newest first
    #[arg(long, value_name = "NUMBER", default_value_t = 20)]
    pub(crate) limit: u32,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RunsCommand {
    /// Show a run: where its time went by lane and task, advice, dirty reasons, attempts
    Show(RunsShowArguments),
}

#[derive(Args, Debug)]
pub(crate) struct RunsShowArguments {
    /// The run's id
    #[arg(value_name = "RUN")]
    pub(crate) run: String,
}

#[derive(Args, Debug)]
pub(crate) struct ReportArguments {
    /// The run's id
    #[arg(value_name = "RUN")]
    pub(crate) run: String,
    /// A new file, or "-" for standard output [default: RUN.html]
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DirtyCommand {
    /// List why records were dirty, and how many for each reason
    List(DirtyListArguments),
    /// Show dirty records, each with its reason
    Show(DirtyShowArguments),
    /// Write all dirty records to a file, whole
    Export(DirtyExportArguments),
    /// Send dirty records to the job's destination again, after fixes; adds records, does nothing else
    Replay(Box<DirtyReplayArguments>),
}

#[derive(Args, Debug)]
pub(crate) struct DirtyReplayArguments {
    #[command(flatten)]
    pub(crate) which: DirtySelection,
    /// Give a column another value, by an expression of SQL that sees all values as texts, such as
    /// amount=REPLACE(amount, ',', '') (repeatable)
    #[arg(long = "fix", value_name = "COLUMN=EXPRESSION")]
    pub(crate) fixes: Vec<String>,
    /// Only records for which this expression, which sees all values as texts, is true
    #[arg(long = "where", value_name = "EXPRESSION")]
    pub(crate) condition: Option<String>,
    /// Show what would be sent, and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// The job document, or "-" for standard input [default: where it was for the run]
    #[arg(long, value_name = "JOB")]
    pub(crate) job: Option<PathBuf>,
    /// Give a secret parameter of the run again (repeatable)
    #[arg(short, long = "parameter", value_name = "NAME=VALUE")]
    pub(crate) parameters: Vec<String>,
    /// File of data sources [default: datasources.json beside the document]
    #[arg(long, value_name = "FILE", env = "AIRLOCK_SOURCES", hide_env = true)]
    pub(crate) sources: Option<PathBuf>,
    /// Bring in a plug-in that is not built in (repeatable)
    #[arg(long = "plugin", value_name = "FILE")]
    pub(crate) plugins: Vec<PathBuf>,
    /// Show the statements that plug-ins sent to databases, of those that differ only in values the first
    #[arg(long)]
    pub(crate) explain: bool,
    /// How progress is shown, as of "airlock run"
    #[arg(
        long,
        value_enum,
        default_value_t,
        value_name = "MODE",
        env = "AIRLOCK_PROGRESS",
        hide_env = true
    )]
    pub(crate) progress: ProgressMode,
    #[command(flatten)]
    pub(crate) grants: GrantArguments,
    #[command(flatten)]
    pub(crate) limits: LimitArguments,
}

#[derive(Args, Debug)]
pub(crate) struct DirtyListArguments {
    /// The run's id
    #[arg(value_name = "RUN")]
    pub(crate) run: String,
}

#[derive(Args, Debug)]
pub(crate) struct DirtyShowArguments {
    #[command(flatten)]
    pub(crate) which: DirtySelection,
    /// Records to show at most
    #[arg(long, value_name = "NUMBER", default_value_t = 100)]
    pub(crate) limit: u32,
}

#[derive(Args, Debug)]
pub(crate) struct DirtyExportArguments {
    #[command(flatten)]
    pub(crate) which: DirtySelection,
    /// A new file, or "-" for standard output
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// One JSON object a line, or CSV with a header
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) format: ExportFormat,
}

/// Which dirty records.
#[derive(Args, Debug)]
pub(crate) struct DirtySelection {
    /// The run's id
    #[arg(value_name = "RUN")]
    pub(crate) run: String,
    /// Only those of this task
    #[arg(long, value_name = "NUMBER")]
    pub(crate) task: Option<u32>,
    /// Only those with this code, such as mapping.overflow
    #[arg(long, value_name = "CODE")]
    pub(crate) code: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    #[default]
    Jsonl,
    Csv,
}

#[derive(Args, Debug)]
pub(crate) struct ConvertArguments {
    /// The DataX document, or "-" for standard input
    #[arg(value_name = "JOB")]
    pub(crate) job: PathBuf,
    /// Write the connections as data sources to this new file, and name them in the document
    #[arg(long, value_name = "FILE")]
    pub(crate) sources: Option<PathBuf>,
    /// A variable that the document writes as $name (repeatable); ${name} is known as one
    #[arg(short, long = "parameter", value_name = "NAME")]
    pub(crate) parameters: Vec<String>,
    /// Bring in a plug-in that is not built in (repeatable)
    #[arg(long = "plugin", value_name = "FILE")]
    pub(crate) plugins: Vec<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum WatermarkCommand {
    /// Show the highest values that the runs of a job have read
    Show(WatermarkShowArguments),
    /// Forget them, so that the next run reads from the beginning, or set one
    Reset(WatermarkResetArguments),
}

#[derive(Args, Debug)]
pub(crate) struct WatermarkShowArguments {
    /// The job document
    #[arg(value_name = "JOB")]
    pub(crate) job: PathBuf,
}

#[derive(Args, Debug)]
pub(crate) struct WatermarkResetArguments {
    /// The job document
    #[arg(value_name = "JOB")]
    pub(crate) job: PathBuf,
    /// Let the next run read what lies above this value
    #[arg(long, value_name = "VALUE", allow_hyphen_values = true)]
    pub(crate) to: Option<String>,
    /// Only this mark, as "airlock watermark show" names it [default: all]
    #[arg(long, value_name = "NAME")]
    pub(crate) mark: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct CompletionsArguments {
    #[arg(value_name = "SHELL")]
    pub(crate) shell: clap_complete::Shell,
}

/// What each plug-in may use; without an option, the sandbox's default.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Limits")]
pub(crate) struct LimitArguments {
    /// Set a limit of plug-ins, such as memory=512MiB or short-call=90s (repeatable); "airlock
    /// doctor" lists them all
    #[arg(long = "limit", value_name = "NAME=VALUE")]
    pub(crate) limits: Vec<String>,
}

#[cfg(test)]
mod tests;
