//! Server and client on two hosts of ours, on a cable in memory.

use std::future::{Future, IntoFuture};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use demos::http::Url;
use demos::site::Served;
use http_body_util::BodyExt;
use stack::host::Host;
use stack::host::futures::{TcpListener, TcpStream};
use stack::{Config, Mac};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::client::{Client, PATIENCE};
use crate::door::Door;
use crate::fetch::{Asker, ask};
use crate::routes::routes;

const SERVER: &str = "192.0.2.1:80";

fn host(last: u8, device: tapdev::PairEnd) -> Host {
    let mut config = Config::new(Mac([2, 0, 0, 0, 0, last]));
    config.addresses = vec![format!("192.0.2.{last}/24").parse().unwrap()];
    Host::new(config, device).unwrap()
}

/// A server, and a host to ask it from.
struct Scene {
    far: Host,
    near: Host,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<io::Result<()>>,
}

async fn server(max_clients: usize) -> Scene {
    let (left, right) = tapdev::pair(1500, 10_000);
    let (near, far) = (host(1, left), host(2, right));
    let served = Arc::new(Served::by(near.clone()));
    let listener = TcpListener::bind(&near, SERVER).unwrap();
    let door = Door::new(listener, max_clients, Arc::clone(&served), None);
    let (stop, stopped) = oneshot::channel();
    let until = async { stopped.await.unwrap_or(()) };
    let serving = axum::serve(door, routes(served)).with_graceful_shutdown(until);
    Scene { far, near, stop, serving: tokio::spawn(serving.into_future()) }
}

/// Runs a test, which ends in time.
fn run(test: impl Future<Output = ()>) {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_time().build().unwrap();
    let in_time = async { timeout(Duration::from_secs(20), test).await };
    runtime.block_on(in_time).expect("still running");
}

async fn fetch(asker: &mut Asker, target: &str) -> (u16, String) {
    let url = Url::parse(&format!("http://{SERVER}{target}")).unwrap();
    let reply = ask(asker, &url).await.unwrap();
    let status = reply.status().as_u16();
    let body = reply.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

fn counted(last: u32) -> String {
    (1..=last).map(|number| format!("{number}\n")).collect()
}

#[test]
fn many_requests_at_the_same_time_over_one_connection() {
    run(async {
        let Scene { far, near: _near, stop, serving } = server(1).await;
        let stream = TcpStream::connect(&far, SERVER).await.unwrap();
        let Asker::Http2(asker) = Asker::over(stream, true).await.unwrap() else { panic!() };
        let tasks: Vec<_> = (0..50)
            .map(|number| {
                let (mut asker, last) = (Asker::Http2(asker.clone()), 4000 + number);
                tokio::spawn(async move {
                    let (status, text) = fetch(&mut asker, &format!("/count/{last}")).await;
                    assert_eq!(status, 200);
                    assert!(text == counted(last));
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        stop.send(()).unwrap();
        serving.await.unwrap().unwrap();
    });
}

#[test]
fn an_answer_that_has_begun_ends_before_the_server_does() {
    run(async {
        let Scene { far, near: _near, stop, serving } = server(9).await;
        for http2 in [false, true] {
            let stream = TcpStream::connect(&far, SERVER).await.unwrap();
            let mut asker = Asker::over(stream, http2).await.unwrap();
            assert_eq!(fetch(&mut asker, "/nothing").await.0, 404);
            assert_eq!(fetch(&mut asker, "/count/0").await, (200, String::new()));
        }
        let stream = TcpStream::connect(&far, SERVER).await.unwrap();
        let mut asker = Asker::over(stream, false).await.unwrap();
        let url = Url::parse(&format!("http://{SERVER}/count/5/every/60")).unwrap();
        let reply = ask(&mut asker, &url).await.unwrap();
        stop.send(()).unwrap();
        let body = reply.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, counted(5));
        serving.await.unwrap().unwrap();
        let refused = TcpStream::connect(&far, SERVER).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    });
}

#[test]
fn who_finds_no_place_waits_for_one() {
    run(async {
        let Scene { far, near: _near, stop: _stop, serving: _serving } = server(1).await;
        let first = TcpStream::connect(&far, SERVER).await.unwrap();
        let second = TcpStream::connect(&far, SERVER).await.unwrap();
        let mut first = Asker::over(first, false).await.unwrap();
        let mut second = Asker::over(second, false).await.unwrap();
        assert_eq!(fetch(&mut first, "/count/2").await.1, counted(2));
        let mut waiting = Box::pin(fetch(&mut second, "/count/3"));
        assert!(timeout(Duration::from_millis(100), &mut waiting).await.is_err());
        drop(first);
        assert_eq!(waiting.await.1, counted(3));
    });
}

#[test]
fn a_client_loses_its_place_when_it_is_silent_for_too_long() {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let (left, _right) = tapdev::pair(1500, 10);
        let places = Arc::new(Semaphore::new(1));
        let place = Arc::clone(&places).acquire_owned().await.unwrap();
        let (mut near, far) = duplex(4);
        let served = Arc::new(Served::by(host(1, left)));
        let mut client = Client::new(far, Arc::clone(&served), place);
        let mut byte = [0];
        for _ in 0..3 {
            sleep(PATIENCE - Duration::from_secs(1)).await;
            near.write_all(b"x").await.unwrap();
            client.read_exact(&mut byte).await.unwrap();
        }
        let silent = client.read_exact(&mut byte).await.unwrap_err();
        assert_eq!(silent.kind(), io::ErrorKind::TimedOut);
        // Nor does it keep it by not reading.
        let unread = client.write_all(b"hello").await.unwrap_err();
        assert_eq!(unread.kind(), io::ErrorKind::TimedOut);
        assert_eq!((served.bytes_in.get(), served.bytes_out.get()), (3, 4));
        assert_eq!(places.available_permits(), 0);
        drop(client);
        assert_eq!(places.available_permits(), 1);
    });
}
