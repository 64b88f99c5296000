//! Many sandboxes of one process: 8, or MSB_TEST_MANY.

mod common;

use std::time::Instant;

use common::image;
use microsandbox::Sandbox;

fn resident_kib() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|l| l.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_once() {
    let many: usize = std::env::var("MSB_TEST_MANY").map_or(8, |n| n.parse().unwrap());
    microsandbox::Image::pull(image()).await.unwrap();
    let (begin, before) = (Instant::now(), resident_kib());
    let tasks: Vec<_> = (0..many)
        .map(|i| {
            tokio::spawn(async move {
                let b = Sandbox::builder_unnamed().image(image()).memory(64);
                let b = b.boot_timeout(std::time::Duration::from_secs(900));
                let sb = b.create().await.unwrap();
                let out = sb.exec("echo", [i.to_string()]).await.unwrap();
                assert_eq!(out.stdout().unwrap(), format!("{i}\n"));
                sb
            })
        })
        .collect();
    let mut all = Vec::new();
    for t in tasks {
        all.push(t.await.unwrap());
    }
    println!(
        "{many} ready: {:?}, {} KiB more in this process",
        begin.elapsed(),
        resident_kib().saturating_sub(before)
    );
    let waits: Vec<_> = all
        .iter()
        .cloned()
        .map(|sb| tokio::spawn(async move { sb.exec("sleep", ["0.5"]).await.unwrap() }))
        .collect();
    for w in waits {
        assert!(w.await.unwrap().success());
    }
    let pids: Vec<i64> = {
        let mut p = Vec::new();
        for sb in &all {
            p.push(sb.info().await.unwrap().pid.unwrap());
        }
        p
    };
    drop(all);
    for pid in pids {
        common::soon("a machine has ended", || !common::alive(pid)).await;
    }
    println!("all ended after {:?}", begin.elapsed());
}
