//! Makes the calls of sdk/conformance through the crate: see the README there.

mod answers;
mod args;
mod calls;
mod commands;
mod files;
mod options;
mod sha256;

use std::collections::HashMap;
use std::io::Write;
use std::sync::{Arc, Mutex};

use serde_json::{json, Value};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::sync::{mpsc, oneshot};

use args::{Args, Fault};

/// Requests that are worked on, and what cancels them.
type Running = Arc<Mutex<HashMap<u64, oneshot::Sender<()>>>>;

async fn answer(state: Arc<calls::State>, call: String, args: Value) -> args::Answer {
    let mut args = Args::from(args)?;
    calls::make(&state, &call, &mut args).await
}

/// The request's future is dropped when it is cancelled.
async fn work(state: Arc<calls::State>, request: Value, cancelled: oneshot::Receiver<()>) -> Value {
    let call = request["call"].as_str().unwrap_or("").to_owned();
    let args = request["args"].clone();
    let result = tokio::select! {
        r = answer(state, call, args) => r,
        Ok(()) = cancelled => Err(Fault::new("cancelled", "the call was cancelled")),
    };
    match result {
        Ok(v) => json!({"id": request["id"], "result": v}),
        Err(Fault(e)) => json!({"id": request["id"], "error": e}),
    }
}

fn cancel(running: &Running, request: &Value) -> Value {
    let id = request["args"]["id"].as_u64().unwrap_or(0);
    if let Some(tell) = running.lock().unwrap().remove(&id) {
        let _ = tell.send(());
    }
    json!({"id": request["id"], "result": {}})
}

fn say(answer: &Value) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{answer}");
    let _ = out.flush();
}

#[tokio::main]
async fn main() {
    let state = Arc::new(calls::State::default());
    let running = Running::default();
    let (tell, mut answers) = mpsc::unbounded_channel::<Value>();
    let printer = std::thread::spawn(move || {
        while let Some(a) = answers.blocking_recv() {
            say(&a);
        }
    });
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let Ok(request) = serde_json::from_str::<Value>(&line) else {
            let error = Fault::invalid("no JSON").0;
            let _ = tell.send(json!({"id": null, "error": error}));
            continue;
        };
        if request["call"] == "cancel" {
            let _ = tell.send(cancel(&running, &request));
            continue;
        }
        let id = request["id"].as_u64().unwrap_or(0);
        let (stop, cancelled) = oneshot::channel();
        running.lock().unwrap().insert(id, stop);
        let (state, running, tell) = (state.clone(), running.clone(), tell.clone());
        tokio::spawn(async move {
            let a = work(state, request, cancelled).await;
            running.lock().unwrap().remove(&id);
            let _ = tell.send(a);
        });
    }
    // Those that still wait are cancelled: their senders go with the map.
    for (_, stop) in running.lock().unwrap().drain() {
        let _ = stop.send(());
    }
    drop(tell);
    drop(state);
    let _ = tokio::task::spawn_blocking(move || printer.join()).await;
}
