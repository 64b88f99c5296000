//! What goes wrong: values, hosts, machines, and programs.

mod common;

use std::time::Duration;

use common::{child_ok, folder, image, name, small, soon, unnamed};
use microsandbox::{Engine, ExecEvent, LogOptions, MicrosandboxError, Sandbox};

#[tokio::test]
async fn wrong_values_start_nothing() {
    let b = || small(Sandbox::builder(name("bad")));
    let e = [
        b().cpus(0).create().await,
        b().cpus(65).create().await,
        b().memory(0).create().await,
        b().memory(1).create().await,
        b().memory(u32::MAX).create().await,
        b().disk(0).create().await,
        small(Sandbox::builder("")).create().await,
        small(Sandbox::builder("a/b")).create().await,
        small(Sandbox::builder("a\0b")).create().await,
        Sandbox::builder_unnamed().create().await,
        b().from_snapshot("x").create().await,
        b().image("a\0b").create().await,
        b().env("A=B", "c").create().await,
        b().env("A", "b\0c").create().await,
        b().env("MSB_X", "c").create().await,
        b().label("", "c").create().await,
        b().volume("/x", |m| m).create().await,
        b().volume("x", |m| m.tmpfs()).create().await,
        b().network(|n| n.rule("maybe@x")).create().await,
        b().secret(|s| s.env("K").value("v-v-v")).create().await,
        b().max_duration(Duration::ZERO).create().await,
        b().max_duration(Duration::from_secs(1 << 40)).create().await,
        b().boot_timeout(Duration::from_secs(1 << 40)).create().await,
        b().idle_timeout(Duration::MAX).create().await,
        b().script("a=b", "c").create().await,
    ];
    for (i, r) in e.into_iter().enumerate() {
        let e = r.err().unwrap_or_else(|| panic!("{i} went well"));
        assert!(e.is_invalid_config(), "{i}: {e:?}");
        assert!(!e.message().is_empty());
    }
    // Other tests make theirs at the same time.
    assert!(Sandbox::get(name("bad")).await.is_err());
}

#[tokio::test]
async fn errors_say_what_they_are() {
    let e = Sandbox::get("not-there").await.unwrap_err();
    assert!(matches!(e, MicrosandboxError::NotFound(_)));
    assert_eq!((e.code(), e.code_name(), e.kind()), (3, "not_found", "NotFound"));
    assert!(e.to_string().contains("not-there"));
    let io: std::io::Error = e.into();
    assert_eq!(io.kind(), std::io::ErrorKind::NotFound);
}

#[tokio::test]
async fn the_machine_dies() {
    let sb = small(Sandbox::builder(name("dies"))).ephemeral(true).create().await.unwrap();
    let mut x = sb.shell_stream("echo begun; sleep 100").await.unwrap();
    let mut r = sb.fs().write_stream("/tmp/f").await.unwrap();
    let waiting = tokio::spawn({
        let sb = sb.clone();
        async move { sb.exec("sleep", ["100"]).await }
    });
    while !matches!(x.recv().await, Some(ExecEvent::Stdout(_))) {}
    let pid = sb.info().await.unwrap().pid.unwrap();
    kill9(pid);
    let last = x.recv().await;
    assert!(
        matches!(&last, Some(ExecEvent::Failed(f)) if f.lost() && f.error.is_gone()),
        "{last:?}"
    );
    assert!(x.recv().await.is_none());
    assert!(waiting.await.unwrap().unwrap_err().is_gone());
    let _ = r.write(vec![0; 4 << 20]).await;
    assert!(r.close().await.is_err());
    assert!(sb.exec("true", []).await.unwrap_err().is_gone());
    assert!(sb.fs().read("/etc/passwd").await.unwrap_err().is_gone());
    assert!(sb.ping().await.unwrap_err().is_gone());
    sb.wait().await.unwrap();
}

fn kill9(pid: i64) {
    let done = std::process::Command::new("kill").args(["-9", &pid.to_string()]).status();
    assert!(done.unwrap().success());
}

#[tokio::test]
async fn handles_go_in_any_order() {
    let sb = unnamed().await;
    let x = sb.exec_stream_with("cat", |e| e.stdin_pipe()).await.unwrap();
    let control = x.control();
    let reader = sb.fs().read_stream("/bin/busybox").await.unwrap();
    let writer = sb.fs().write_stream("/tmp/x").await.unwrap();
    let logs = sb.log_stream(&LogOptions::default()).await.unwrap();
    let metrics = sb.metrics_stream(Duration::from_secs(1));
    let fs = sb.fs();
    let pid = sb.info().await.unwrap().pid.unwrap();
    drop(sb);
    drop(metrics);
    drop(fs);
    soon("the machine has ended", || !common::alive(pid)).await;
    drop(reader);
    drop(logs);
    drop(x);
    drop(writer);
    control.kill().await.unwrap();
    drop(control);
}

#[tokio::test]
async fn dropping_does_not_block() {
    // A busy host may hold up one or another, but not each: the end of a machine takes longer.
    let mut took = Duration::MAX;
    for _ in 0..5 {
        let sb = unnamed().await;
        let begin = std::time::Instant::now();
        drop(sb);
        took = took.min(begin.elapsed());
        if took < Duration::from_millis(20) {
            return;
        }
    }
    panic!("at least {took:?}");
}

#[tokio::test]
async fn an_engine_that_cannot_be() {
    if std::fs::File::options().read(true).write(true).open("/dev/kvm").is_ok() {
        return;
    }
    let e = small(Sandbox::builder(name("kvm"))).engine(Engine::Kvm).create().await.unwrap_err();
    assert!(e.is_unsupported() || e.is_permission_denied() || e.is_install(), "{e:?}");
    assert!(!e.hint().is_empty(), "{e:?}");
    assert!(Sandbox::get(name("kvm")).await.unwrap_err().is_not_found());
}

#[tokio::test]
async fn a_machine_that_does_not_get_ready() {
    let n = name("slow");
    let b = small(Sandbox::builder(&n)).boot_timeout(Duration::from_millis(100));
    let e = b.create().await.unwrap_err();
    assert!(e.is_boot(), "{e:?}");
    // The name is free again, at once.
    assert!(Sandbox::get(&n).await.unwrap_err().is_not_found());
}

// ---- in processes of their own -----------------------------------------------------------

fn block_on<T>(f: impl std::future::Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(f)
}

#[test]
fn no_library() {
    child_ok("child_no_library", &[("MICROSANDBOX_LIBRARY", "/nowhere/lib.so")]);
}

#[test]
#[ignore = "a child of no_library"]
fn child_no_library() {
    let e = block_on(Sandbox::list()).unwrap_err();
    assert!(e.is_install(), "{e:?}");
    assert!(e.message().contains("/nowhere/lib.so"));
    assert!(e.hint().contains("MICROSANDBOX_LIBRARY"));
    assert!(microsandbox::version().unwrap_err().is_install());
}

#[test]
fn no_kernel() {
    let dir = folder("empty-runtime");
    child_ok("child_no_kernel", &[("MSB_RUNTIME", dir.to_str().unwrap())]);
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
#[ignore = "a child of no_kernel"]
fn child_no_kernel() {
    let e = block_on(small(Sandbox::builder("no-kernel")).create()).unwrap_err();
    assert!(e.is_install(), "{e:?}");
    assert!(!e.hint().is_empty());
    assert!(block_on(Sandbox::get("no-kernel")).unwrap_err().is_not_found());
}

#[test]
fn forked() {
    child_ok("child_forked", &[]);
}

#[test]
#[ignore = "a child of forked"]
fn child_forked() {
    let sb = block_on(unnamed());
    // SAFETY: the child only does what this test is about, and ends by _exit().
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        let r = std::panic::catch_unwind(|| {
            let e = block_on(sb.exec("true", [])).unwrap_err();
            assert!(e.is_unsupported() && e.message().contains("fork"), "{e:?}");
            assert!(block_on(Sandbox::list()).is_err());
            drop(sb);
        });
        // SAFETY: nothing of the parent's is run.
        unsafe { libc::_exit(if r.is_ok() { 7 } else { 8 }) };
    }
    let mut status = 0;
    // SAFETY: our child.
    unsafe { libc::waitpid(pid, &mut status, 0) };
    assert_eq!(libc::WEXITSTATUS(status), 7);
    assert!(block_on(sb.exec("true", [])).unwrap().success());
}

fn pid_of(text: &str) -> i64 {
    text.lines().find_map(|l| l.strip_prefix("PID ")).unwrap().parse().unwrap()
}

#[tokio::test]
async fn open_at_the_end() {
    for test in ["child_returns", "child_exits"] {
        let text = child_ok_or_exit(test);
        let pid = pid_of(&text);
        soon("the machine has ended", || !common::alive(pid)).await;
        let name = text.lines().find_map(|l| l.strip_prefix("NAME ")).unwrap().to_owned();
        for _ in 0..100 {
            if Sandbox::get(&name).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(Sandbox::get(&name).await.unwrap_err().is_not_found(), "{test}");
    }
}

fn child_ok_or_exit(test: &str) -> String {
    let out = common::child(test, &[]);
    assert!(out.status.success(), "{test}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).into_owned()
}

async fn tell() -> Sandbox {
    let sb = unnamed().await;
    println!("\nPID {}\nNAME {}", sb.info().await.unwrap().pid.unwrap(), sb.name());
    sb
}

#[test]
#[ignore = "a child of open_at_the_end"]
fn child_returns() {
    let _sb = block_on(tell());
}

#[test]
#[ignore = "a child of open_at_the_end"]
fn child_exits() {
    let _sb = block_on(tell());
    std::process::exit(0);
}

#[test]
fn types_may_go_to_other_threads() {
    fn both<T: Send + Sync>() {}
    fn send<T: Send>() {}
    both::<Sandbox>();
    both::<microsandbox::Home>();
    both::<microsandbox::SandboxFs>();
    both::<MicrosandboxError>();
    both::<microsandbox::ExecHandle>();
    both::<microsandbox::ExecSink>();
    both::<microsandbox::ExecControl>();
    both::<microsandbox::SandboxBuilder>();
    send::<microsandbox::FileReader>();
    send::<microsandbox::FileWriter>();
    send::<microsandbox::LogStream>();
    send::<microsandbox::MetricsStream>();
    fn is_send<T: Send>(_: T) {}
    is_send(Sandbox::builder("x").image(image()).create());
    assert!(
        !format!("{:?}", Sandbox::builder("x").secret_env("K", "value", "h")).contains("value\"")
    );
}
