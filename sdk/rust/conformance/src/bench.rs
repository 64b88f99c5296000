//! How long a command takes: MSB_BENCH_SANDBOX names a sandbox that runs, in the home of
//! MSB_HOME. Prints {"exec_us": [...]}.

use std::time::Instant;

use microsandbox::Sandbox;

const N: usize = 200;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let name = std::env::var("MSB_BENCH_SANDBOX")?;
    let n = std::env::var("MSB_BENCH_N").ok().and_then(|n| n.parse().ok()).unwrap_or(N);
    let sb = Sandbox::open(name).await?;
    sb.exec("true", []).await?;
    let mut times = Vec::with_capacity(n);
    for _ in 0..n {
        let begin = Instant::now();
        let out = sb.exec("true", []).await?;
        times.push(begin.elapsed().as_nanos() as f64 / 1000.0);
        assert!(out.success());
    }
    println!("{}", serde_json::json!({ "exec_us": times }));
    Ok(())
}
