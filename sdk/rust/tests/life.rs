//! Sandboxes that stay, and what belongs to them.

mod common;

use std::io::Read;
use std::time::Duration;

use common::{folder, image, name, small};
use microsandbox::{
    Action, ArchiveFormat, Effect, Home, Image, LogOptions, LogSource, Network, PullEventKind,
    PullPolicy, Sandbox, Snapshot, State, Volume, VolumeKind,
};

#[tokio::test]
async fn kept_and_found_again() {
    let n = name("kept");
    let sb = small(Sandbox::builder(&n)).label("a", "b").create().await.unwrap();
    assert_eq!((sb.name(), sb.state().unwrap()), (n.as_str(), State::Ready));
    assert_eq!(sb.id().len(), 16);
    assert!(sb.times().unwrap().ready.unwrap() > Duration::ZERO);
    assert!(!sb.engine().unwrap().is_empty() && !sb.accel().unwrap().is_empty());
    assert!(!sb.walls().unwrap().is_empty());
    sb.warning().unwrap();
    sb.fs().write("/root/f", "stays").await.unwrap();
    let e = small(Sandbox::builder(&n)).create().await.unwrap_err();
    assert!(e.is_already_exists(), "{e:?}");
    assert!(Sandbox::remove(&n).await.unwrap_err().is_busy());

    let other = Sandbox::open(&n).await.unwrap();
    assert_eq!(other.id(), sb.id());
    assert!(other.ping().await.unwrap() > Duration::ZERO);
    other.touch().await.unwrap();
    let info = sb.info().await.unwrap();
    assert!(info.keep && info.pid.is_some() && !info.detached);
    assert_eq!(info.labels, [("a".to_string(), "b".to_string())]);

    // It is not restarted by this change: what cannot be now waits.
    let changes = sb.modify().memory(192).label("c", "d").apply().await.unwrap();
    assert!(changes.iter().any(|c| c.field == "memory" && c.effect == Effect::NextStart));
    assert_eq!(Sandbox::pending(&n).await.unwrap().len(), 1);
    assert!(sb.modify().cpus(0).apply().await.unwrap_err().is_invalid_config());
    assert_eq!(
        Sandbox::list_with(|l| l.label("a", "b").label_key("c")).await.unwrap().sandboxes.len(),
        1
    );
    assert!(Sandbox::list().await.unwrap().sandboxes.iter().any(|h| h.name() == n));

    assert!(sb.wait_timeout(Duration::from_millis(100)).await.unwrap_err().is_timeout());
    let waiter = tokio::spawn({
        let sb = sb.clone();
        async move { sb.wait().await }
    });
    sb.stop().await.unwrap();
    waiter.await.unwrap().unwrap();
    sb.stop().await.unwrap();
    assert_eq!(sb.state().unwrap(), State::Stopped);
    assert!(sb.exec("true", []).await.unwrap_err().is_gone());
    assert!(Sandbox::open(&n).await.unwrap_err().is_gone());

    let handle = Sandbox::get(&n).await.unwrap();
    assert_eq!(handle.info().memory_bytes, 192 << 20);
    handle.stop().await.unwrap();
    let sb = handle.start().await.unwrap();
    assert!(handle.start().await.unwrap_err().is_busy());
    assert_eq!(sb.fs().read_to_string("/root/f").await.unwrap(), "stays");
    let again = sb.restart().await.unwrap();
    assert_eq!(again.fs().read_to_string("/root/f").await.unwrap(), "stays");
    assert_eq!(handle.refresh().await.unwrap().id(), handle.id());
    handle.destroy().await.unwrap();
    assert!(Sandbox::get(&n).await.unwrap_err().is_not_found());
}

#[tokio::test]
async fn detached() {
    let n = name("detached");
    let sb = small(Sandbox::builder(&n)).detached(true).create().await.unwrap();
    let pid = sb.info().await.unwrap().pid.unwrap();
    drop(sb);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(common::alive(pid));
    let handle = Sandbox::get(&n).await.unwrap();
    assert!(handle.info().detached);
    assert!(handle.connect().await.unwrap().exec("true", []).await.unwrap().success());
    handle.destroy().await.unwrap();
}

#[tokio::test]
async fn logs_and_metrics() {
    let n = name("logs");
    let sb = small(Sandbox::builder(&n)).ephemeral(true).create().await.unwrap();
    sb.shell("echo one; echo two >&2").await.unwrap();
    let mut x = sb.shell_stream("echo three").await.unwrap();
    x.wait().await.unwrap();
    let all = sb.logs(LogOptions::new()).await.unwrap();
    let texts: Vec<_> = all.iter().map(|e| e.text().into_owned()).collect();
    assert_eq!(texts.concat(), "one\ntwo\nthree\n");
    let err = sb.logs(LogOptions::new().source(LogSource::Stderr)).await.unwrap();
    assert_eq!(err[0].text(), "two\n");
    let mine = sb.logs(LogOptions::new().session(x.session())).await.unwrap();
    assert_eq!((mine.len(), mine[0].session), (1, Some(x.session())));
    assert!(mine[0].unix_ms > 1_600_000_000_000);
    let last = sb.logs(LogOptions::new().tail(1)).await.unwrap();
    assert_eq!(last[0].text(), "three\n");

    let mut stream = sb.log_stream(LogOptions::new()).await.unwrap();
    for want in ["one\n", "two\n", "three\n"] {
        assert_eq!(stream.recv().await.unwrap().unwrap().text(), want);
    }
    sb.shell("echo later").await.unwrap();
    assert_eq!(stream.recv().await.unwrap().unwrap().text(), "later\n");

    let m = sb.metrics().await.unwrap();
    assert_eq!((m.cpus, m.memory_bytes), (1, 128 << 20));
    assert!(m.uptime() > Duration::ZERO && m.cpu_ns > 0);
    let mut stream_m = sb.metrics_stream(Duration::from_millis(50));
    let a = stream_m.recv().await.unwrap().unwrap();
    let b = stream_m.recv().await.unwrap().unwrap();
    assert!(b.time_ns > a.time_ns && b.cpu_percent(&a) >= 0.0);
    let mut zero = sb.metrics_stream(Duration::ZERO);
    assert!(zero.recv().await.unwrap().unwrap_err().is_invalid_config());
    assert!(zero.recv().await.is_none());

    sb.kill().await.unwrap();
    while let Some(entry) = stream.recv().await {
        entry.unwrap();
    }
    assert!(stream_m.recv().await.unwrap().unwrap_err().is_gone());
    assert!(stream_m.recv().await.is_none());
    assert!(Sandbox::get(&n).await.unwrap_err().is_not_found());
}

#[tokio::test]
async fn options_of_a_sandbox() {
    let dir = folder("options");
    let volume = name("vol");
    std::fs::create_dir_all(dir.join("share")).unwrap();
    std::fs::write(dir.join("share/f"), "of the host").unwrap();
    Volume::create(&volume).await.unwrap();
    let sb = small(Sandbox::builder(name("options")))
        .hostname("inside")
        .env("A", "b=c")
        .workdir("/tmp")
        .rlimit("nofile", 123)
        .script("greet", "#!/bin/sh\necho hello $1\n")
        .volume("/share", |m| m.bind(dir.join("share")).readonly())
        .volume("/f", |m| m.bind(dir.join("share/f")))
        .volume("/data", |m| m.named(&volume))
        .volume("/fast", |m| m.tmpfs().size(1).noexec())
        .patch(|p| {
            p.text("/etc/motd", "patched\n", Some(0o600), false)
                .append("/etc/motd", "more\n")
                .mkdir("/opt/d", None)
                .symlink("d", "/opt/l", false)
        })
        .patch(|p| p.copy_file(dir.join("share/f"), "/opt/f", None, false).owner(5, 6))
        .port(0, 8080)
        .network(|n| n.default_egress(Action::Deny).rule("allow@10.1.2.3:tcp:80"))
        .secret(|s| s.env("KEY").value("the-real-value").allow_host("api.example.com"))
        .max_duration(Duration::from_secs(600))
        .create()
        .await
        .unwrap();
    let script = "hostname; pwd; echo $A; ulimit -n; greet you; cat /share/f /f; echo; \
                  echo x 2>/dev/null >/share/g || echo ro; cat /etc/motd; ls -ln /opt/f; \
                  readlink /opt/l; echo $KEY";
    let out = sb.shell(script).await.unwrap();
    let text = out.stdout().unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[..5], ["inside", "/tmp", "b=c", "123", "hello you"]);
    assert_eq!(lines[5..9], ["of the hostof the host", "ro", "patched", "more"]);
    assert!(lines[9].contains(" 5 ") && lines[9].contains(" 6 "), "{}", lines[9]);
    assert_eq!(lines[10], "d");
    assert!(lines[11].starts_with("MSB_") && !text.contains("the-real-value"));

    let info = sb.info().await.unwrap();
    assert_eq!(info.mounts.len(), 4);
    assert!(info.mounts.iter().any(|m| m.kind == "dir" && m.read_only && m.target == "/share"));
    assert_eq!(info.secrets[0].hosts, ["api.example.com"]);
    assert_eq!(info.network.ports.len(), 1);
    assert_eq!((info.scripts.len(), info.patches.len()), (1, 5));
    assert_eq!(Volume::get(&volume).await.unwrap().users, [sb.name()]);
    assert!(Volume::remove(&volume).await.unwrap_err().is_busy());

    let why = sb.net_explain("10.1.2.3", 80).await.unwrap();
    assert!(why.contains("allow"), "{why}");
    assert!(sb.net_rules().await.unwrap().contains("allow@10.1.2.3"));
    let ports = sb.ports().await.unwrap();
    assert_eq!((ports.len(), ports[0].guest), (1, 8080));
    let mut server =
        sb.exec_stream("nc", ["-l", "-p", "8080", "-e", "echo", "from inside"]).await.unwrap();
    server.recv().await.unwrap();
    let port = ports[0].host;
    let text = tokio::task::spawn_blocking(move || {
        // It may not listen yet.
        for _ in 0..600 {
            let mut s = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
            let mut text = String::new();
            if s.read_to_string(&mut text).is_ok() && !text.is_empty() {
                return text;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        "nothing".to_string()
    })
    .await
    .unwrap();
    assert_eq!(text, "from inside\n");
    let n = sb.name().to_owned();
    sb.stop().await.unwrap();
    Sandbox::remove(n).await.unwrap();
    Volume::remove(&volume).await.unwrap();
    std::fs::remove_dir_all(dir).unwrap();
}

#[tokio::test]
async fn volumes() {
    let n = name("disk");
    let v = Volume::builder(&n).kind(VolumeKind::Disk).size(32).create().await.unwrap();
    assert_eq!((v.size_bytes, v.kind), (32 << 20, VolumeKind::Disk));
    assert!(Volume::create(&n).await.unwrap_err().is_already_exists());
    assert!(Volume::list().await.unwrap().iter().any(|v| v.name == n));
    assert!(Volume::create("../x").await.unwrap_err().is_invalid_config());
    Volume::remove(&n).await.unwrap();
    assert!(Volume::get(&n).await.unwrap_err().is_not_found());
}

#[tokio::test]
async fn snapshots_and_images() {
    let dir = folder("snap");
    let (n, snap, tag) = (name("base"), name("snap"), format!("{}:1", name("made")));
    let sb = small(Sandbox::builder(&n)).create().await.unwrap();
    sb.fs().write("/root/w", "written").await.unwrap();
    assert!(sb.snapshot(&snap).await.unwrap_err().is_busy());
    sb.stop().await.unwrap();
    let s = Snapshot::create_with(&n, &snap, |s| s.label("a", "b").integrity()).await.unwrap();
    assert!(s.digest.starts_with("sha256:") && s.content.starts_with("sha256:"));
    assert_eq!(s.sandbox, n);
    Snapshot::verify(&snap).await.unwrap();
    assert_eq!(Snapshot::image(&snap).await.unwrap().reference, s.image);
    Snapshot::save(&snap, dir.join("s.tar.zst"), false).await.unwrap();
    let fork = Sandbox::builder_unnamed().from_snapshot(&snap).memory(128).create().await.unwrap();
    assert_eq!(fork.fs().read_to_string("/root/w").await.unwrap(), "written");
    drop(fork);
    let again = format!("{snap}-2");
    assert_eq!(Snapshot::load(dir.join("s.tar.zst"), Some(&again)).await.unwrap(), again);
    assert_eq!(Snapshot::get(&again).await.unwrap().digest, s.digest);
    assert!(Snapshot::list().await.unwrap().len() >= 2);

    let id = Image::commit(&n, &tag, |c| c.author("me").change("ENV MADE=yes")).await.unwrap();
    let made = Image::get(&tag).await.unwrap();
    assert_eq!(made.id, id);
    assert!(made.env.contains(&("MADE".into(), "yes".into())));
    assert!(Image::list().await.unwrap().iter().any(|i| i.id == id));
    Image::save([&tag], dir.join("i.tar"), ArchiveFormat::Oci).await.unwrap();
    Image::remove(&tag).await.unwrap();
    let loaded = Image::load(dir.join("i.tar"), None).await.unwrap();
    assert_eq!(loaded, [format!("docker.io/library/{tag}")]);
    assert!(Image::users(&s.image).await.unwrap().contains(&n));
    Sandbox::remove(&n).await.unwrap();
    Image::remove(&tag).await.unwrap();
    Snapshot::remove(&snap).await.unwrap();
    Snapshot::remove(&again).await.unwrap();
    std::fs::remove_dir_all(dir).unwrap();
}

#[tokio::test]
async fn pulls_tell_how_they_go() {
    let dir = folder("pull");
    let home = Home::open(dir.join("home")).await.unwrap();
    let (mut progress, task) = home.pull_with_progress(image(), Default::default()).unwrap();
    let task = tokio::spawn(task);
    let mut kinds = Vec::new();
    while let Some(event) = progress.recv().await {
        kinds.push(event.kind);
    }
    let pulled = task.await.unwrap().unwrap();
    assert!(pulled.layer_count > 0 && pulled.size_bytes > 0);
    assert!(kinds.contains(&PullEventKind::Resolved) && kinds.contains(&PullEventKind::Done));
    let never = Image::pull_with("no/such/image", |p| p.policy(PullPolicy::Never)).await;
    assert!(never.unwrap_err().is_not_found());
    assert!(Image::pull("localhost:1/a").await.unwrap_err().is_network());

    let (mut progress, task) =
        home.sandbox("p").image(image()).memory(128).create_with_pull_progress();
    let task = tokio::spawn(task);
    while progress.recv().await.is_some() {}
    let sb = task.await.unwrap().unwrap();
    assert_eq!(sb.home().path(), home.path());
    drop(sb);
    drop(home);
    std::fs::remove_dir_all(dir).unwrap();
}

#[tokio::test]
async fn only_on_record() {
    let n = name("record");
    let made = small(Sandbox::builder(&n))
        .network(|_| Network::from_profiles(["public", "private"]))
        .cmd(["sh", "-c", "echo main; sleep 60"])
        .create_stopped()
        .await
        .unwrap();
    assert_eq!(made.info().state, State::Created);
    assert_eq!(made.info().network.profile, "public,private");
    let sb = made.start().await.unwrap();
    sb.run_main().await.unwrap();
    let mut logs = sb.log_stream(LogOptions::new()).await.unwrap();
    assert_eq!(logs.recv().await.unwrap().unwrap().text(), "main\n");
    made.destroy().await.unwrap();
    let e = small(Sandbox::builder_unnamed()).create_stopped().await.unwrap_err();
    assert!(e.is_invalid_config());
}

#[tokio::test]
async fn the_host() {
    let checks = microsandbox::doctor().await.unwrap();
    assert!(checks.iter().any(|c| c.name == "qemu"));
    assert!(microsandbox::repair(true).await.is_ok());
    assert!(microsandbox::version().unwrap().split('.').count() == 3);
    assert!(microsandbox::library_path().unwrap().exists());
    assert!(Home::shared().await.unwrap().path().is_absolute());
}
