//! A sandbox's files.

mod common;

use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use common::{folder, shared};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test]
async fn whole_files() {
    let fs = shared().await.fs();
    fs.write("/tmp/a", "hello").await.unwrap();
    assert_eq!(fs.read("/tmp/a").await.unwrap().as_ref(), b"hello");
    assert_eq!(fs.read_to_string("/tmp/a").await.unwrap(), "hello");
    fs.write_with("/tmp/a", " you", |w| w.append()).await.unwrap();
    assert_eq!(fs.read_to_string("/tmp/a").await.unwrap(), "hello you");
    let e = fs.write_with("/tmp/a", "x", |w| w.exclusive()).await.unwrap_err();
    assert!(e.is_already_exists(), "{e:?}");
    fs.write_with("/tmp/m", "", |w| w.mode(0o600)).await.unwrap();
    assert_eq!(fs.stat("/tmp/m").await.unwrap().mode & 0o777, 0o600);
    assert!(fs.read("/tmp/m").await.unwrap().is_empty());
    fs.write("/tmp/bin", vec![0xff, 0xfe]).await.unwrap();
    assert!(fs.read_to_string("/tmp/bin").await.is_err());
    assert!(fs.read_max("/tmp/a", 3).await.unwrap_err().is_no_space());

    let e = fs.read("/no").await.unwrap_err();
    assert!(e.is_not_found());
    assert_eq!(e.errno(), libc::ENOENT);
    assert!(fs.read("/t\0mp").await.unwrap_err().is_invalid_config());
    assert!(fs.read("/tmp").await.is_err());
}

#[tokio::test]
async fn names() {
    let fs = shared().await.fs();
    fs.mkdir("/tmp/d/e/f").await.unwrap();
    fs.mkdir("/tmp/d/e/f").await.unwrap();
    assert!(fs.mkdir_with("/tmp/d", 0o700, false).await.unwrap_err().is_already_exists());
    fs.write("/tmp/d/x", "1").await.unwrap();
    fs.symlink("x", "/tmp/d/l").await.unwrap();
    let names: Vec<_> = fs.list("/tmp/d").await.unwrap().into_iter().map(|i| i.path).collect();
    assert_eq!(names, ["e", "l", "x"]);
    assert!(fs.stat("/tmp/d").await.unwrap().is_dir());
    assert!(fs.stat("/tmp/d/l").await.unwrap().is_file());
    let l = fs.symlink_stat("/tmp/d/l").await.unwrap();
    assert!(l.is_symlink());
    assert_eq!(l.target, "x");

    fs.copy("/tmp/d", "/tmp/d2").await.unwrap();
    assert_eq!(fs.read_to_string("/tmp/d2/x").await.unwrap(), "1");
    fs.rename("/tmp/d2/x", "/tmp/d2/y").await.unwrap();
    assert!(!fs.exists("/tmp/d2/x").await.unwrap());
    assert!(fs.exists("/tmp/d2/y").await.unwrap());
    let e = fs.rename_no_replace("/tmp/d2/y", "/tmp/d/x").await.unwrap_err();
    assert!(e.is_already_exists());
    fs.chmod("/tmp/d2/y", 0o640).await.unwrap();
    fs.chown("/tmp/d2/y", 5, 6).await.unwrap();
    let i = fs.stat("/tmp/d2/y").await.unwrap();
    assert_eq!((i.mode & 0o777, i.uid, i.gid, i.size), (0o640, 5, 6, 1));
    fs.symlink_chown("/tmp/d/l", 7, 8).await.unwrap();
    assert_eq!(fs.symlink_stat("/tmp/d/l").await.unwrap().uid, 7);
    assert_eq!(fs.stat("/tmp/d/x").await.unwrap().uid, 0);

    assert!(fs.remove("/tmp/d").await.is_err());
    fs.remove("/tmp/d/x").await.unwrap();
    assert!(fs.remove("/tmp/d/x").await.unwrap_err().is_not_found());
    fs.remove_with("/tmp/d/x", false, true).await.unwrap();
    fs.remove_dir("/tmp/d").await.unwrap();
    assert!(!fs.exists("/tmp/d").await.unwrap());
}

#[tokio::test]
async fn streams() {
    let fs = shared().await.fs();
    let data: Vec<u8> = (0..5_000_003u32).map(|i| (i % 251) as u8).collect();
    let mut w = fs.write_stream("/tmp/big").await.unwrap();
    for piece in data.chunks(700_001) {
        w.write(piece.to_vec()).await.unwrap();
    }
    assert!(!fs.exists("/tmp/big").await.unwrap());
    w.close().await.unwrap();

    let mut r = fs.read_stream("/tmp/big").await.unwrap();
    let mut back = Vec::new();
    while let Some(piece) = r.recv().await.unwrap() {
        back.extend_from_slice(&piece);
    }
    assert!(back == data);

    // The same by tokio's traits.
    let mut w = fs.write_stream_with("/tmp/big2", |w| w.mode(0o600)).await.unwrap();
    w.write_all(&data).await.unwrap();
    w.flush().await.unwrap();
    w.shutdown().await.unwrap();
    w.shutdown().await.unwrap();
    assert!(w.write(&b"x"[..]).await.is_err());
    let mut back = Vec::new();
    fs.read_stream("/tmp/big2").await.unwrap().read_to_end(&mut back).await.unwrap();
    assert!(back == data);
    let mut part = String::new();
    fs.write("/tmp/s", "0123456789").await.unwrap();
    fs.read_range("/tmp/s", 3, 4).await.unwrap().read_to_string(&mut part).await.unwrap();
    assert_eq!(part, "3456");
    assert_eq!(fs.write_from("/tmp/s", &data[..1000]).await.unwrap(), 1000);
    assert_eq!(fs.stat("/tmp/s").await.unwrap().size, 1000);

    // What is not finished is not there; a reader may go at any time.
    let mut w = fs.write_stream("/tmp/half").await.unwrap();
    w.write(vec![1; 100_000]).await.unwrap();
    drop(w);
    let mut r = fs.read_stream("/tmp/big").await.unwrap();
    let _ = r.recv().await;
    drop(r);
    assert!(!fs.exists("/tmp/half").await.unwrap());
    assert!(fs.read_stream("/no").await.err().unwrap().is_not_found());
}

#[tokio::test]
async fn trees() {
    let sb = shared().await;
    let fs = sb.fs();
    let dir = folder("trees");
    let src = dir.join("src");
    std::fs::create_dir_all(src.join("sub")).unwrap();
    std::fs::write(src.join("sub/f"), "deep").unwrap();
    symlink("sub/f", src.join("link")).unwrap();
    let seen = Arc::new(AtomicU64::new(0));
    let told = seen.clone();
    fs.copy_from_host_with(&src, "/tmp/tree", |c| {
        c.on_progress(move |p| told.store(p.files, Ordering::SeqCst))
    })
    .await
    .unwrap();
    assert_eq!(fs.read_to_string("/tmp/tree/link").await.unwrap(), "deep");
    assert!(seen.load(Ordering::SeqCst) > 0);
    fs.copy_to_host("/tmp/tree", dir.join("back")).await.unwrap();
    assert_eq!(std::fs::read_to_string(dir.join("back/sub/f")).unwrap(), "deep");
    assert!(fs.copy_from_host(dir.join("none"), "/tmp/x").await.unwrap_err().is_not_found());

    // A program's function that panics ends the copy, not the process.
    let r = fs.copy_from_host_with(&src, "/tmp/tree2", |c| c.on_progress(|_| panic!("no"))).await;
    assert!(r.unwrap_err().is_cancelled());

    let tar = std::fs::File::create(dir.join("t.tar")).unwrap();
    fs.pack_tar("/tmp/tree", tar, |c| c.content()).await.unwrap();
    let tar = std::fs::File::open(dir.join("t.tar")).unwrap();
    fs.mkdir("/tmp/untarred").await.unwrap();
    fs.unpack_tar(tar, "/tmp/untarred", |c| c).await.unwrap();
    assert_eq!(fs.read_to_string("/tmp/untarred/sub/f").await.unwrap(), "deep");
    fs.copy_to_sandbox("/tmp/tree/sub/f", &sb, "/tmp/across", |c| c).await.unwrap();
    assert_eq!(fs.read_to_string("/tmp/across").await.unwrap(), "deep");
    std::fs::remove_dir_all(dir).unwrap();
}
