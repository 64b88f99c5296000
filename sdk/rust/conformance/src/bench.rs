//! What a call costs: for each line of standard input, which is a count, `true` that often in the
//! sandbox MSB_BENCH_SANDBOX, which runs; answered by a line {"exec_us": [...]}.

use std::time::Instant;

use microsandbox::Sandbox;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let sb = Sandbox::open(std::env::var("MSB_BENCH_SANDBOX")?).await?;
    for line in std::io::stdin().lines() {
        let n = line?.parse()?;
        let mut times: Vec<f64> = Vec::with_capacity(n);
        for _ in 0..n {
            let begin = Instant::now();
            let out = sb.exec("true", []).await?;
            times.push(begin.elapsed().as_nanos() as f64 / 1000.0);
            assert!(out.success());
        }
        println!("{}", serde_json::json!({ "exec_us": times }));
    }
    Ok(())
}
