//! The sockets on tokio's runtime.

use std::time::Duration;

use stack::State;
use stack::host::futures::{TcpListener, TcpStream};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy, split};
use tokio::time::timeout;

use crate::rig::{SERVER, connection, hosts, within};

fn run(test: impl Future<Output = ()> + Send + 'static) {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).enable_time().build().unwrap();
    within(30, async move || runtime.block_on(test));
}

#[test]
fn many_tasks_talk_at_the_same_time() {
    const TASKS: u32 = 200;
    run(async {
        let (server, client) = hosts();
        let listener = TcpListener::bind(&server, (SERVER, 7)).unwrap();
        let serve = tokio::spawn(async move {
            for _ in 0..TASKS {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(async move {
                    let (mut from, mut to) = split(stream);
                    copy(&mut from, &mut to).await.unwrap();
                    to.shutdown().await.unwrap();
                });
            }
        });
        let talk = |number: u32| {
            let client = client.clone();
            async move {
                let mut stream = TcpStream::connect(&client, (SERVER, 7)).await.unwrap();
                let text: Vec<u8> = (0..20_000 + number).map(|i| (i ^ number) as u8).collect();
                for piece in text.chunks(7_000) {
                    stream.write_all(piece).await.unwrap();
                    let mut back = vec![0; piece.len()];
                    stream.read_exact(&mut back).await.unwrap();
                    assert!(back == piece);
                }
                stream.shutdown().await.unwrap();
                assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 0);
            }
        };
        let tasks: Vec<_> = (0..TASKS).map(|number| tokio::spawn(talk(number))).collect();
        for task in tasks {
            task.await.unwrap();
        }
        serve.await.unwrap();
    });
}

#[test]
fn a_read_can_time_out_again_and_again() {
    run(async {
        let (server, client) = hosts();
        let (mut far, mut near) = connection(&server, &client).await;
        let mut text = [0; 5];
        for _ in 0..20 {
            let reading = timeout(Duration::from_millis(2), far.read_exact(&mut text));
            assert!(reading.await.is_err());
        }
        near.write_all(b"hello").await.unwrap();
        far.read_exact(&mut text).await.unwrap();
        assert_eq!(&text, b"hello");
    });
}

#[test]
fn a_runtime_that_ends_takes_its_sockets_along() {
    let (server, client) = hosts();
    let watched = server.clone();
    run(async move {
        let (mut far, _near) = connection(&server, &client).await;
        // Waits for ever, until the runtime drops it.
        tokio::spawn(async move { far.read_u8().await });
        tokio::task::yield_now().await;
    });
    let open = |it: &stack::TcpInfo| matches!(it.state, State::Established | State::CloseWait);
    assert!(!watched.connections().iter().any(open), "{:?}", watched.connections());
}
