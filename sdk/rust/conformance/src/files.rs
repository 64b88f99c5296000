//! Calls about a sandbox's files.

use serde_json::json;

use crate::answers;
use crate::args::{bytes, Answer, Args, Fault};
use crate::calls::State;
use crate::sha256::Sha256;

pub async fn make(s: &State, what: &str, a: &mut Args) -> Answer {
    let fs = s.sandbox(a)?.fs();
    match what {
        "rename" | "copy" | "copy_in" | "copy_out" => {
            let (from, to) = (a.text("from")?, a.text("to")?);
            let no_replace = what == "rename" && a.flag("no_replace")?;
            a.done()?;
            match what {
                "rename" if no_replace => fs.rename_no_replace(from, to).await?,
                "rename" => fs.rename(from, to).await?,
                "copy" => fs.copy(from, to).await?,
                "copy_in" => fs.copy_from_host(from, to).await?,
                _ => fs.copy_to_host(from, to).await?,
            }
            return Ok(json!({}));
        }
        _ => {}
    }
    let path = a.text("path")?;
    match what {
        "read" => {
            a.done()?;
            return Ok(json!({"data": bytes(&fs.read(path).await?)}));
        }
        "write" => {
            let data = a.bytes("data")?.unwrap_or_default();
            let mode: Option<u32> = a.opt_number("mode")?;
            let (append, exclusive) = (a.flag("append")?, a.flag("exclusive")?);
            a.done()?;
            let set = |mut w: microsandbox::WriteOptions| {
                if let Some(mode) = mode {
                    w = w.mode(mode);
                }
                if append {
                    w = w.append();
                }
                if exclusive {
                    w = w.exclusive();
                }
                w
            };
            fs.write_with(path, data, set).await?;
        }
        "list" => {
            a.done()?;
            let all: Vec<_> = fs.list(path).await?.iter().map(answers::file).collect();
            return Ok(json!({ "entries": all }));
        }
        "stat" => {
            let no_follow = a.flag("no_follow")?;
            a.done()?;
            let i = if no_follow { fs.symlink_stat(path).await? } else { fs.stat(path).await? };
            return Ok(answers::file(&i));
        }
        "exists" => {
            a.done()?;
            return Ok(json!({"exists": fs.exists(path).await?}));
        }
        "mkdir" => {
            let mode: u32 = a.opt_number("mode")?.unwrap_or(0o755);
            let recursive = a.flag("recursive")?;
            a.done()?;
            fs.mkdir_with(path, mode, recursive).await?;
        }
        "remove" => {
            let (recursive, force) = (a.flag("recursive")?, a.flag("force")?);
            a.done()?;
            fs.remove_with(path, recursive, force).await?;
        }
        "symlink" => {
            let target = a.text("target")?;
            a.done()?;
            fs.symlink(target, path).await?;
        }
        "chmod" => {
            let mode = a.number("mode")?;
            a.done()?;
            fs.chmod(path, mode).await?;
        }
        "chown" => {
            let (uid, gid) = (a.number("uid")?, a.number("gid")?);
            a.done()?;
            fs.chown(path, uid, gid).await?;
        }
        "read_stream" => {
            a.done()?;
            let mut file = fs.read_stream(path).await?;
            let (mut sum, mut all) = (Sha256::new(), 0);
            while let Some(piece) = file.recv().await? {
                sum.update(&piece);
                all += piece.len();
            }
            return Ok(json!({"bytes": all, "sha256": sum.finish()}));
        }
        "write_stream" => {
            let all: usize = a.number("bytes")?;
            a.done()?;
            let mut file = fs.write_stream(path).await?;
            let mut sum = Sha256::new();
            for begin in (0..all).step_by(100_000) {
                let end = (begin + 100_000).min(all);
                let piece: Vec<u8> = (begin..end).map(|i| (i % 251) as u8).collect();
                sum.update(&piece);
                file.write(piece).await?;
            }
            file.close().await?;
            return Ok(json!({"sha256": sum.finish()}));
        }
        _ => return Err(Fault::invalid(format!("there is no call fs.{what}"))),
    }
    Ok(json!({}))
}
