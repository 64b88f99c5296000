//! Commands, collected and followed.

mod common;

use std::time::{Duration, Instant};

use common::shared;
use microsandbox::{ExecEvent, MicrosandboxError};
use tokio::io::AsyncWriteExt;

#[tokio::test]
async fn collected() {
    let sb = shared().await;
    let out = sb.exec("echo", ["hello", "there"]).await.unwrap();
    assert_eq!(out.stdout().unwrap(), "hello there\n");
    assert!(out.success());
    assert_eq!(out.status().code, 0);
    assert!(sb.exec("true", []).await.unwrap().success());

    let out = sb.shell("echo out; echo err >&2; exit 7").await.unwrap();
    assert_eq!((out.stdout().unwrap(), out.stderr().unwrap()), ("out\n".into(), "err\n".into()));
    assert_eq!((out.code(), out.success()), (7, false));

    let out = sb.shell("kill -9 $$").await.unwrap();
    assert_eq!((out.code(), out.status().signal), (137, Some(9)));
    let out = sb.exec("printf", [r"\377\001"]).await.unwrap();
    assert_eq!(out.stdout_bytes().as_ref(), b"\xff\x01");
    assert!(out.stdout().is_err());
}

#[tokio::test]
async fn options() {
    let sb = shared().await;
    let out = sb
        .exec_with("sh", |e| {
            e.args(["-c", "pwd; echo $A; id -u; ulimit -n; cat"])
                .cwd("/tmp")
                .env("A", "b c")
                .user("65534")
                .rlimit("nofile", 77)
                .stdin_bytes("input")
        })
        .await
        .unwrap();
    assert_eq!(out.stdout().unwrap(), "/tmp\nb c\n65534\n77\ninput");
    let out = sb.shell_with("echo $0 $1 $2", |e| e.arg("x").arg("y")).await.unwrap();
    assert!(out.stdout().unwrap().ends_with("x y\n"));
    let out = sb.exec_with("seq", |e| e.arg("100000").max_output(1000)).await.unwrap();
    assert_eq!((out.stdout_bytes().len(), out.truncated()), (1000, true));
    let out = sb.exec_with("tty", |e| e.tty(true).size(10, 20)).await.unwrap();
    assert!(out.stdout().unwrap().contains("/dev/"), "{out:?}");
}

#[tokio::test]
async fn never_ran() {
    let sb = shared().await;
    let e = sb.exec("/no/such", []).await.unwrap_err();
    assert!(matches!(e, MicrosandboxError::ExecFailed(_)));
    assert_eq!((e.stage(), e.errno(), e.code_name()), (Some("exec"), libc::ENOENT, "exec"));
    let e = sb.exec_with("pwd", |e| e.user("nobody-here")).await.unwrap_err();
    assert_eq!(e.stage(), Some("user"));
    let mut x = sb.exec_stream("/no/such", []).await.unwrap();
    let e = x.wait().await.unwrap_err();
    assert_eq!((e.stage(), e.errno()), (Some("exec"), libc::ENOENT));
    assert!(x.recv().await.is_none());
    assert!(x.wait().await.unwrap_err().is_invalid_config());
}

#[tokio::test]
async fn time_limits() {
    let sb = shared().await;
    let script = "echo first; sleep 1000";
    let mut said = (String::new(), String::new());
    // A busy host may need longer for the first word.
    for ms in [500, 5_000, 30_000] {
        let (begin, limit) = (Instant::now(), Duration::from_millis(ms));
        let e = sb.shell_with(script, |e| e.timeout(limit)).await.unwrap_err();
        assert!(e.is_timeout());
        said.0 = e.output().unwrap().stdout().unwrap();
        let mut x = sb.shell_stream_with(script, |e| e.timeout(limit)).await.unwrap();
        let e = x.collect().await.unwrap_err();
        assert!(e.is_timeout());
        said.1 = e.output().unwrap().stdout().unwrap();
        assert!(begin.elapsed() < 2 * limit + Duration::from_secs(20));
        if !said.0.is_empty() && !said.1.is_empty() {
            break;
        }
    }
    assert_eq!(said, ("first\n".into(), "first\n".into()));
}

#[tokio::test]
async fn followed() {
    let sb = shared().await;
    let mut x = sb.shell_stream("echo a; echo b >&2; exit 3").await.unwrap();
    assert!(x.session() > 0 && !x.is_tty());
    let (mut out, mut err, mut started, mut code) = (vec![], vec![], 0, None);
    while let Some(event) = x.recv().await {
        match event {
            ExecEvent::Started { pid } => started = pid,
            ExecEvent::Stdout(b) => out.extend_from_slice(&b),
            ExecEvent::Stderr(b) => err.extend_from_slice(&b),
            ExecEvent::Exited { code: c } => code = Some(c),
            e => panic!("{e:?}"),
        }
    }
    assert!(started > 0);
    assert_eq!((out.as_slice(), err.as_slice(), code), (&b"a\n"[..], &b"b\n"[..], Some(3)));
}

#[tokio::test(flavor = "current_thread")]
async fn input_by_a_pipe() {
    let sb = shared().await;
    let mut x = sb.exec_stream_with("cat", |e| e.stdin_pipe()).await.unwrap();
    let mut stdin = x.take_stdin().unwrap();
    assert!(x.take_stdin().is_none());
    // More than all windows hold, so both sides wait for each other.
    let data: Vec<u8> = (0..8 << 20).map(|i| (i % 251) as u8).collect();
    let sent = data.clone();
    let writer = tokio::spawn(async move {
        stdin.write_all(&sent).await.unwrap();
        stdin.shutdown().await.unwrap();
    });
    let out = x.collect().await.unwrap();
    writer.await.unwrap();
    assert!(out.success());
    assert!(out.stdout_bytes().as_ref() == data, "{} bytes", out.stdout_bytes().len());
}

#[tokio::test]
async fn input_given_beforehand() {
    let sb = shared().await;
    let data = vec![b'x'; 3 << 20];
    let mut x = sb.exec_stream_with("wc", |e| e.arg("-c").stdin_bytes(data)).await.unwrap();
    assert_eq!(x.collect().await.unwrap().stdout().unwrap().trim(), "3145728");
    // A sink that goes is the end of the input.
    let mut x = sb.exec_stream_with("cat", |e| e.stdin_pipe()).await.unwrap();
    let stdin = x.take_stdin().unwrap();
    stdin.write("abc").await.unwrap();
    drop(stdin);
    assert_eq!(x.collect().await.unwrap().stdout().unwrap(), "abc");
}

#[tokio::test]
async fn writing_behind_the_end() {
    let sb = shared().await;
    let mut x = sb.exec_stream_with("true", |e| e.stdin_pipe()).await.unwrap();
    let stdin = x.take_stdin().unwrap();
    assert!(x.wait().await.unwrap().success);
    stdin.write(vec![0; 1 << 20]).await.unwrap();
    stdin.close().await.unwrap();
}

#[tokio::test]
async fn signals_and_terminals() {
    let sb = shared().await;
    let mut x = sb.exec_stream("sleep", ["60"]).await.unwrap();
    assert!(matches!(x.recv().await, Some(ExecEvent::Started { .. })));
    x.signal(15).await.unwrap();
    let status = x.wait().await.unwrap();
    assert_eq!((status.code, status.signal), (143, Some(15)));
    assert!(x.signal(0).await.unwrap_err().is_invalid_config());

    let script = "trap 'stty size; exit' WINCH; echo ready; while :; do sleep 0.1; done";
    let mut x = sb.shell_stream_with(script, |e| e.tty(true)).await.unwrap();
    assert!(x.is_tty());
    let mut out = Vec::new();
    let mut resized = false;
    while let Some(event) = x.recv().await {
        if let ExecEvent::Stdout(b) = event {
            out.extend_from_slice(&b);
        }
        if !resized && out.starts_with(b"ready") {
            x.resize(33, 99).await.unwrap();
            resized = true;
        }
    }
    assert!(String::from_utf8_lossy(&out).contains("33 99"), "{out:?}");

    let mut x = sb.exec_stream("sleep", ["60"]).await.unwrap();
    let control = x.control();
    tokio::spawn(async move { control.kill().await.unwrap() });
    assert_eq!(x.collect().await.unwrap().code(), 137);
}

#[tokio::test]
async fn detached_and_attached() {
    let sb = shared().await;
    let mut x = sb.shell_stream_with("read a; echo got $a", |e| e.stdin_pipe()).await.unwrap();
    assert!(matches!(x.recv().await, Some(ExecEvent::Started { .. })));
    let session = x.session();
    x.detach().await.unwrap();
    let mut x = sb.attach(session).await.unwrap();
    x.take_stdin().unwrap().write("it\n").await.unwrap();
    assert_eq!(x.collect().await.unwrap().stdout().unwrap(), "got it\n");
    assert!(sb.attach(session).await.unwrap_err().is_not_found());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_once() {
    let sb = shared().await;
    let all: Vec<_> = (0..20)
        .map(|i| {
            let sb = sb.clone();
            tokio::spawn(async move {
                let out = sb.exec("echo", [i.to_string()]).await.unwrap();
                assert_eq!(out.stdout().unwrap(), format!("{i}\n"));
            })
        })
        .collect();
    for t in all {
        t.await.unwrap();
    }
}

#[tokio::test(flavor = "current_thread")]
async fn output_without_an_end_leaves_time_for_others() {
    let sb = shared().await;
    let mut x = sb.exec_stream("yes", []).await.unwrap();
    let ticks = tokio::spawn(async {
        for _ in 0..10 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    while !ticks.is_finished() {
        assert!(matches!(x.recv().await, Some(ExecEvent::Started { .. } | ExecEvent::Stdout(_))));
    }
    let mut yes = sb.exec_stream_with("yes", |e| e.timeout(Duration::from_secs(3))).await.unwrap();
    let e = yes.collect().await.unwrap_err();
    assert!(e.is_timeout() && !e.output().unwrap().stdout_bytes().is_empty());
}

#[tokio::test]
async fn wrong_values() {
    let sb = shared().await;
    for e in [
        sb.exec("a\0b", []).await.unwrap_err(),
        sb.exec("true", ["a\0b"]).await.unwrap_err(),
        sb.exec_with("true", |e| e.env("A=B", "c")).await.unwrap_err(),
        sb.exec_with("true", |e| e.env("", "c")).await.unwrap_err(),
        sb.exec_with("true", |e| e.timeout(Duration::from_secs(u64::MAX))).await.unwrap_err(),
        sb.exec_with("true", |e| e.stdin_pipe()).await.unwrap_err(),
        sb.exec_with("true", |e| e.rlimit("no", 1)).await.unwrap_err(),
        sb.exec_stream("true", ["a\0b"]).await.unwrap_err(),
    ] {
        assert!(e.is_invalid_config(), "{e:?}");
    }
}

#[test]
fn without_tokio() {
    // Only commands with a time limit and streams of metrics need a runtime of tokio's.
    let rt = tokio::runtime::Builder::new_current_thread().build().unwrap();
    rt.block_on(async {
        let sb = shared().await;
        assert!(sb.exec("true", []).await.unwrap().success());
        let mut x = sb.exec_stream("echo", ["x"]).await.unwrap();
        assert_eq!(x.collect().await.unwrap().stdout().unwrap(), "x\n");
    });
}
