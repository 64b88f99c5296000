//! Calls about commands.

use microsandbox::{ExecControl, ExecHandle, ExecOptions, ExecSink};
use serde_json::json;
use tokio::sync::Mutex;

use crate::answers;
use crate::args::{Answer, Args, Fault};
use crate::calls::State;
use crate::options;

/// A command that is followed. Its events are for one at a time.
pub struct Command {
    handle: Mutex<Option<ExecHandle>>,
    stdin: Mutex<Option<ExecSink>>,
    control: ExecControl,
    session: u64,
}

impl Command {
    fn new(mut x: ExecHandle, pipe: bool) -> Self {
        let stdin = if pipe { x.take_stdin() } else { None };
        Self {
            control: x.control(),
            session: x.session(),
            stdin: Mutex::new(stdin),
            handle: Mutex::new(Some(x)),
        }
    }
}

fn no_handle() -> Fault {
    Fault::invalid("the command was detached")
}

/// exec and shell: to the end.
pub async fn run(s: &State, call: &str, a: &mut Args) -> Answer {
    let sb = s.sandbox(a)?;
    let shell = call == "shell";
    let mut argv = if shell { vec![a.text("script")?] } else { a.texts("argv")? };
    if argv.is_empty() {
        return Err(Fault::invalid("there is no command"));
    }
    let command = argv.remove(0);
    // Looked at beforehand: a wrong one starts nothing.
    let mut e = options::exec(ExecOptions::default(), a)?.args(argv);
    if let Some(v) = a.bytes("stdin")? {
        e = e.stdin_bytes(v);
    }
    if let Some(v) = a.millis("timeout_ms")? {
        e = e.timeout(v);
    }
    if let Some(v) = a.opt_number("max")? {
        e = e.max_output(v);
    }
    a.done()?;
    let out = if shell {
        sb.shell_with(command, |o| o.options(e)).await?
    } else {
        sb.exec_with(command, |o| o.options(e)).await?
    };
    Ok(answers::output(&out))
}

async fn start(s: &State, a: &mut Args) -> Answer {
    let (name, sb) = (a.text("as")?, s.sandbox(a)?);
    let mut argv = a.texts("argv")?;
    let (pipe, shell) = (a.flag("stdin")?, a.flag("shell")?);
    let rows: u16 = a.opt_number("rows")?.unwrap_or(0);
    let cols: u16 = a.opt_number("cols")?.unwrap_or(0);
    if argv.is_empty() {
        return Err(Fault::invalid("there is no command"));
    }
    let command = argv.remove(0);
    let mut e = options::exec(ExecOptions::default(), a)?.args(argv).size(rows, cols);
    a.done()?;
    if pipe {
        e = e.stdin_pipe();
    }
    let x = if shell {
        sb.shell_stream_with(command, |o| o.options(e)).await?
    } else {
        sb.exec_stream_with(command, |o| o.options(e)).await?
    };
    s.keep_command(name, Command::new(x, pipe))
}

pub async fn make(s: &State, what: &str, a: &mut Args) -> Answer {
    match what {
        "start" => return start(s, a).await,
        "close" => return s.close_command(a),
        "attach" => {
            let (name, sb) = (a.text("as")?, s.sandbox(a)?);
            let session: Option<u64> = a.opt_number("session")?;
            a.done()?;
            return s.keep_command(name, Command::new(sb.attach(session).await?, true));
        }
        _ => {}
    }
    let c = s.command(a)?;
    match what {
        "next" | "wait" => return wait(&c, what, a).await,
        "write" => {
            let data = a.bytes("data")?.unwrap_or_default();
            a.done()?;
            let mut stdin = c.stdin.lock().await;
            let stdin = stdin.as_mut().ok_or_else(|| Fault::invalid("its input is closed"))?;
            stdin.write(data).await?;
        }
        "close_stdin" => {
            a.done()?;
            if let Some(stdin) = c.stdin.lock().await.take() {
                stdin.close().await?;
            }
        }
        "detach" => {
            a.done()?;
            let x = c.handle.lock().await.take().ok_or_else(no_handle)?;
            x.detach().await?;
        }
        "signal" => {
            let signal = a.number("signal")?;
            a.done()?;
            c.control.signal(signal).await?;
        }
        "resize" => {
            let (rows, cols) = (a.number("rows")?, a.number("cols")?);
            a.done()?;
            c.control.resize(rows, cols).await?;
        }
        "session" => {
            a.done()?;
            return Ok(json!({"session": c.session}));
        }
        _ => return Err(Fault::invalid(format!("there is no call exec.{what}"))),
    }
    Ok(json!({}))
}

async fn wait(c: &Command, what: &str, a: &mut Args) -> Answer {
    let timeout = a.millis("timeout_ms")?;
    a.done()?;
    let work = async {
        let mut x = c.handle.lock().await;
        let x = x.as_mut().ok_or_else(no_handle)?;
        if what == "next" {
            let event = x.recv().await;
            answers::event(event, x.status())
        } else {
            Ok(json!({"exit_code": x.wait().await?.code}))
        }
    };
    match timeout {
        None => work.await,
        Some(t) => tokio::time::timeout(t, work)
            .await
            .unwrap_or_else(|_| Err(Fault::new("timeout", "the command still runs"))),
    }
}
