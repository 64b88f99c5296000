//! Programs in the shape of the Rust system's SDK: they compile and run with nothing changed but
//! where `microsandbox` comes from.

mod common;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use common::{folder, image, name};
use microsandbox::sandbox::{LogOptions, PullPolicy, RlimitResource, SandboxStatus};
use microsandbox::size::SizeExt;
use microsandbox::{
    all_sandbox_metrics, ExecEvent, MicrosandboxError, MicrosandboxResult, NetworkPolicy,
    NetworkProfile, Sandbox, Snapshot, Volume,
};

#[tokio::test]
async fn begin() -> Result<(), Box<dyn std::error::Error>> {
    let n = name("begin");
    let sandbox =
        Sandbox::builder(&n).image(image()).cpus(1).memory(128).replace().create().await?;
    let output = sandbox.shell("echo 'hello'").await?;
    assert_eq!(output.stdout()?.trim(), "hello");
    let output = sandbox.exec("sh", ["-c", "exit 3"]).await?;
    assert_eq!((output.status().code, output.status().success), (3, false));
    sandbox.stop().await?;
    Sandbox::remove(&n).await?;
    Ok(())
}

/// The match has all there is, and no `_`.
#[tokio::test]
async fn follow() -> MicrosandboxResult<()> {
    let sandbox = common::shared().await;
    let mut handle = sandbox.exec_stream("sh", ["-c", "echo out; echo err >&2; exit 4"]).await?;
    let (mut out, mut err, mut codes) = (String::new(), String::new(), vec![]);
    while let Some(event) = handle.recv().await {
        match event {
            ExecEvent::Started { .. } => {}
            ExecEvent::Stdout(data) => out += &String::from_utf8_lossy(&data),
            ExecEvent::Stderr(data) => err += &String::from_utf8_lossy(&data),
            ExecEvent::Exited { code } => codes.push(code),
            ExecEvent::Failed(failed) => panic!("{failed:?}"),
            ExecEvent::StdinError(error) => panic!("{error:?}"),
        }
    }
    assert_eq!((out.as_str(), err.as_str(), codes), ("out\n", "err\n", vec![4]));
    let mut handle = sandbox.exec_stream("/no/such", ["x"]).await?;
    while let Some(event) = handle.recv().await {
        let ExecEvent::Failed(failed) = event else { panic!("{event:?}") };
        assert_eq!((failed.errno, failed.lost()), (Some(2), false));
        assert!(!failed.message.is_empty() && failed.stage.is_some());
    }

    let mut handle = sandbox.exec_stream_with("cat", |e| e.stdin_pipe()).await?;
    let stdin = handle.take_stdin().unwrap();
    stdin.write(b"typed").await?;
    stdin.close().await?;
    assert_eq!(handle.id(), handle.session().to_string());
    let output = handle.collect().await?;
    assert_eq!(output.stdout().unwrap(), "typed");
    assert!(handle.status().unwrap().success);

    let limits = sandbox
        .exec_with("sh", |e| {
            e.args(["-c", "ulimit -n; cat"])
                .env("A", "b")
                .cwd("/")
                .timeout(Duration::from_secs(30))
                .rlimit(RlimitResource::Nofile, 77)
                .stdin_bytes(b"in")
        })
        .await?;
    assert_eq!(limits.stdout().unwrap(), "77\nin");
    Ok(())
}

/// One sink, two writers, far more than the windows hold: each write stays whole.
#[tokio::test]
async fn two_writers() -> MicrosandboxResult<()> {
    let sandbox = common::shared().await;
    let script = "sleep 0.2; tr -s ab | wc -c";
    let mut handle = sandbox.shell_stream_with(script, |e| e.stdin_pipe()).await?;
    let stdin = handle.take_stdin().unwrap();
    let (a, b) = (vec![b'a'; 4 << 20], vec![b'b'; 4 << 20]);
    let write = async {
        let both = tokio::join!(stdin.write(&a), stdin.write(&b));
        both.0.and(both.1)?;
        stdin.close().await
    };
    let (written, output) = tokio::join!(write, handle.collect());
    written?;
    assert_eq!(output?.stdout().unwrap().trim(), "2");
    Ok(())
}

#[tokio::test]
async fn files() -> MicrosandboxResult<()> {
    let sandbox = common::shared().await;
    let fs = sandbox.fs();
    let text = String::from("borrowed");
    fs.write("/tmp/peer.json", br#"{"debug": true}"#).await?;
    assert_eq!(&fs.read("/tmp/peer.json").await?[..], br#"{"debug": true}"#);
    fs.write("/tmp/peer.txt", &text).await?;
    assert_eq!(fs.read_to_string("/tmp/peer.txt").await?, text);
    let all = fs.list("/tmp").await?;
    let entry = all.iter().find(|e| e.path.ends_with("peer.txt")).unwrap();
    assert_eq!((format!("{:?}", entry.kind).as_str(), entry.size), ("File", 8));
    assert_eq!(format!("{:?}", fs.stat("/tmp").await?.kind), "Directory");
    fs.symlink("peer.txt", "/tmp/peer.link").await?;
    assert_eq!(fs.read_link("/tmp/peer.link").await?, "peer.txt");
    assert!(fs.read_link("/tmp/peer.txt").await.unwrap_err().is_invalid_config());
    assert!(fs.read_link("/tmp/none").await.unwrap_err().is_not_found());

    let mut sink = fs.write_stream("/tmp/peer.big").await?;
    for _ in 0..3 {
        sink.write([b'x'; 1000]).await?;
    }
    sink.close().await?;
    let mut stream = fs.read_stream("/tmp/peer.big").await?;
    let mut n = 0;
    while let Some(piece) = stream.recv().await? {
        n += piece.len();
    }
    assert_eq!(n, 3000);
    assert_eq!(fs.read_stream("/tmp/peer.big").await?.collect().await?.len(), 3000);
    Ok(())
}

#[tokio::test]
async fn volumes_patches_and_lists() -> MicrosandboxResult<()> {
    let (n, dir) = (name("vols"), folder("vols"));
    std::fs::write(dir.join("f"), "of the host").unwrap();
    let data = Volume::builder(&n).quota(100.mib()).create().await?;
    let disk = Volume::builder(format!("{n}-disk")).disk().size(32.mib()).create().await?;
    let sandbox = Sandbox::builder(&n)
        .image(image())
        .memory(128.mib())
        .root_disk(1.gib())
        .pull_policy(PullPolicy::IfMissing)
        .envs([("A", "1"), ("B", "2")])
        .labels(HashMap::from([("team", "peer")]))
        .scripts([("greet", "#!/bin/sh\necho greetings\n")])
        .volume("/data", |v| v.named(data.name()))
        .volume("/disk", |v| v.named(disk.name()))
        .volume("/host", |v| v.bind(&dir).readonly())
        .volume("/fast", |v| v.tmpfs().size(1.mib()))
        .patch(|p| {
            p.text("/etc/greeting.txt", "hello\n", None, false)
                .mkdir("/app", Some(0o700))
                .append("/etc/greeting.txt", "again\n")
                .copy_file(dir.join("f"), "/app/f", Some(0o600), false)
                .symlink("f", "/app/link", false)
        })
        .port_bind(IpAddr::V4(Ipv4Addr::LOCALHOST), 0, 80)
        .max_duration(3600)
        .idle_timeout(600)
        .rlimit(RlimitResource::Nproc, 100)
        .create_detached()
        .await?;
    let script =
        "greet; cat /etc/greeting.txt /app/link /host/f; stat -c %a /app /app/f; echo x >/data/x";
    let output = sandbox.shell(script).await?;
    let want = "greetings\nhello\nagain\nof the hostof the host700\n600\n";
    assert_eq!((output.stdout().unwrap().as_str(), output.status().code), (want, 0));

    let page = Sandbox::list_with(|l| l.label("team", "peer")).await?;
    assert_eq!(page.sandboxes.len(), 1);
    assert_eq!(page.sandboxes[0].status_snapshot(), SandboxStatus::Running);
    assert_eq!(sandbox.info().await?.max_duration_s, 3600);
    assert!(all_sandbox_metrics().await?[&n].memory_bytes > 0);
    let logs = sandbox.logs(&LogOptions { tail: Some(1), ..Default::default() }).await?;
    assert_eq!(logs.len(), 1);

    sandbox.destroy().await?;
    Volume::remove(&n).await?;
    Volume::remove(disk.name()).await?;
    std::fs::remove_dir_all(dir).unwrap();
    Ok(())
}

#[tokio::test]
async fn networks_and_secrets() -> MicrosandboxResult<()> {
    let closed = Sandbox::builder(name("closed"))
        .image(image())
        .memory(128)
        .network(|n| n.policy(NetworkPolicy::none()))
        .ephemeral(true)
        .create()
        .await?;
    assert!(verdict(&closed, "1.1.1.1").await?.contains("deny"));

    let policy = NetworkPolicy::builder()
        .default_allow()
        .rule(|r| r.egress().deny().domain("blocked.example.com"))
        .rule(|r| r.egress().deny().domain_suffix(".evil.com"))
        .egress(|e| e.tcp().port(443).deny().ip("10.1.2.3").deny_private())
        .build()?;
    let filtered = Sandbox::builder(name("filtered"))
        .image(image())
        .memory(128)
        .network(|n| {
            n.policy(policy)
                .dns(|d| d.nameservers(["127.0.0.1:53"]).rebind_protection(false))
                .max_connections(64)
                .strict(true)
                .trust_host_cas(true)
                .tls(|t| t.bypass("*.googleapis.com").intercepted_ports(vec![443]).block_quic(true))
        })
        .secret_env("OPENAI_API_KEY", "the-real-value", "api.openai.com")
        .secret(|s| {
            s.env("OTHER")
                .value("another")
                .allow_host_pattern("*.example.com")
                .inject_query(true)
                .allow_any_host_dangerous(false)
        })
        .ephemeral(true)
        .create()
        .await?;
    assert!(verdict(&filtered, "1.1.1.1").await?.contains("allow"));
    assert!(verdict(&filtered, "10.1.2.3").await?.contains("deny"));
    let rules = filtered.net_rules().await?;
    for want in ["blocked.example.com", "evil.com", "10.1.2.3"] {
        assert!(rules.contains(want), "{rules}");
    }
    let output = filtered.shell("echo $OPENAI_API_KEY").await?.stdout().unwrap();
    assert!(output.len() > 1 && !output.contains("real"), "{output}");

    let profiles = NetworkPolicy::from_profiles([NetworkProfile::Public, NetworkProfile::Host]);
    let nowhere = Sandbox::builder(name("nowhere"))
        .image(image())
        .network(|n| n.policy(profiles))
        .secret(|s| s.env("K").value("v").inject_headers(false).inject_basic_auth(false))
        .create()
        .await;
    assert!(nowhere.unwrap_err().to_string().contains("may stand nowhere"));
    Ok(())
}

async fn verdict(sandbox: &Sandbox, host: &str) -> MicrosandboxResult<String> {
    let told = sandbox.net_explain(host, 443).await?;
    Ok(told.split("\"verdict\"").nth(1).unwrap_or(&told).chars().take(12).collect())
}

#[tokio::test]
async fn lives() -> MicrosandboxResult<()> {
    let n = name("lives");
    let make = || Sandbox::builder(&n).image(image()).memory(128).detached(true);
    let sandbox = make().connect_or_create().await?;
    let id = sandbox.id().to_string();
    sandbox.fs().write("/root/kept", "yes").await?;
    let again = make().connect_or_create().await?;
    assert_eq!((again.id().to_string(), again.name()), (id.clone(), n.as_str()));

    let handle = Sandbox::get(&n).await?;
    assert!(handle.metrics().await?.memory_bytes > 0);
    handle.touch().await?;
    assert!(handle.ping().await? < Duration::from_secs(5));
    handle.request_stop().await?;
    let stopped = handle.wait_for_status(SandboxStatus::Stopped).await?;
    assert_eq!(stopped.id(), id);
    let snap = name("lives-snap");
    Snapshot::builder(&snap).from_sandbox(&n).label("for", "peer").create().await?;
    let running = stopped.connect_or_start_detached().await?;
    assert_eq!(running.status().await?, SandboxStatus::Running);
    let restarted = running.restart().await?;
    assert_eq!(restarted.fs().read_to_string("/root/kept").await?, "yes");
    restarted.stop().await?;
    // One that is there and does not run is started, not made anew.
    let back = make().connect_or_create().await?;
    assert_eq!(back.fs().read_to_string("/root/kept").await?, "yes");
    back.request_kill().await?;
    back.wait_for_status(SandboxStatus::Stopped).await?;
    assert!(stopped.ping().await.unwrap_err().is_gone());
    stopped.request_kill().await?;
    back.destroy().await?;
    assert!(matches!(Sandbox::get(&n).await, Err(MicrosandboxError::NotFound(_))));
    let e = stopped.wait_for_status(SandboxStatus::Running).await.unwrap_err();
    assert!(e.is_not_found());

    let fork = Sandbox::builder(&n).from_snapshot(&snap).memory(128).create().await?;
    assert_eq!(fork.fs().read_to_string("/root/kept").await?, "yes");
    // A handle means one sandbox, not whoever has its name now.
    assert!(stopped.destroy().await.unwrap_err().is_not_found());
    assert!(stopped.restart().await.unwrap_err().is_not_found());
    assert!(fork.exec("true", []).await?.success());
    fork.destroy().await?;
    Snapshot::remove(&snap).await?;
    Ok(())
}
