//! A small HTTP worker for containers: a request takes 50 ms, of which it computes for two. In an image of its own it needs
//! nothing else: rustc -O -C target-feature=+crt-static worker.rs
//!
//! Listens at $PORT. It answers over connections that stay, and leaves it to whoever stops it that nobody is connected.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

/// Steps of a computation that take some two milliseconds.
const COMPUTES: u64 = 2_000_000;
const WAITS: Duration = Duration::from_millis(48);

fn main() -> std::io::Result<()> {
    let variable = |name: &str, other: &str| std::env::var(name).unwrap_or_else(|_| other.to_owned());
    let listener = TcpListener::bind(format!("0.0.0.0:{}", variable("PORT", "8000")))?;
    println!("listens");
    let name = variable("NAME", "worker");
    for stream in listener.incoming().flatten() {
        let name = name.clone();
        std::thread::spawn(move || serve(stream, &name));
    }
    Ok(())
}

/// Answers what is asked over one connection, until that ends.
fn serve(stream: TcpStream, name: &str) -> std::io::Result<()> {
    let mut input = BufReader::new(stream.try_clone()?);
    let mut output = stream;
    while let Some((path, keeps)) = request(&mut input)? {
        if path != "/health" {
            work();
        }
        let keeping = if keeps { "keep-alive" } else { "close" };
        let length = name.len() + 1;
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\nConnection: {keeping}\r\n"
        );
        output.write_all(format!("{head}\r\n{name}\n").as_bytes())?;
        if !keeps {
            break;
        }
    }
    Ok(())
}

/// Reads a request; returns its path, and whether the connection stays. What is sent with it is read and left.
fn request(input: &mut BufReader<TcpStream>) -> std::io::Result<Option<(String, bool)>> {
    let mut line = String::new();
    if input.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let path = line.split(' ').nth(1).unwrap_or("/").to_owned();
    let (mut keeps, mut body) = (line.trim_end().ends_with("HTTP/1.1"), 0);
    loop {
        line.clear();
        input.read_line(&mut line)?;
        let field = line.trim_end().to_ascii_lowercase();
        match field.split_once(':') {
            Some(("connection", value)) => keeps = value.trim() == "keep-alive",
            Some(("content-length", value)) => body = value.trim().parse().unwrap_or(0),
            Some(_) => {}
            None => break,
        }
    }
    std::io::copy(&mut std::io::Read::take(input, body), &mut std::io::sink())?;
    Ok(Some((path, keeps)))
}

fn work() {
    let steps = (0..COMPUTES).fold(1_u64, |value, step| {
        std::hint::black_box(value.wrapping_mul(31).wrapping_add(step))
    });
    std::hint::black_box(steps);
    std::thread::sleep(WAITS);
}
