//! The sockets with the traits of the futures project.

use std::net::{Shutdown, SocketAddr};
use std::time::Duration;

use futures_lite::{AsyncReadExt, AsyncWriteExt, StreamExt, future::zip};
use stack::host::futures::{TcpListener, TcpStream, UdpSocket};

use crate::rig::{SERVER, connection, hosts, within};

fn everywhere<T: Send + Sync + Unpin>(_: &T) {}

#[test]
fn a_stream_is_copied_to_its_end() {
    within(20, async || {
        let (server, client) = hosts();
        let listener = TcpListener::bind(&server, (SERVER, 7)).unwrap();
        let echo = async {
            let mut listener = listener;
            let stream = listener.next().await.unwrap().unwrap();
            let (from, mut to) = (stream.try_clone(), stream);
            futures_lite::io::copy(from, &mut to).await.unwrap();
            to.close().await.unwrap();
        };
        let talk = async {
            let mut reader = TcpStream::connect(&client, (SERVER, 7)).await.unwrap();
            everywhere(&reader);
            let mut writer = reader.try_clone();
            let text: Vec<u8> = (0..3_000_000u32).map(|i| (i ^ (i >> 9)) as u8).collect();
            let write = async {
                writer.write_all(&text).await.unwrap();
                writer.close().await.unwrap();
            };
            let read = async {
                let mut answer = Vec::new();
                reader.read_to_end(&mut answer).await.unwrap();
                answer
            };
            let answer = zip(write, read).await.1;
            assert!(answer == text);
        };
        zip(echo, talk).await;
    });
}

#[test]
fn errors_are_those_of_the_blocking_sockets() {
    within(10, async || {
        let (_server, client) = hosts();
        let refused = TcpStream::connect(&client, (SERVER, 9)).await.unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
        let unknown = TcpStream::connect(&client, "localhost:9").await.unwrap_err();
        assert_eq!(unknown.kind(), std::io::ErrorKind::InvalidInput);
        let all: [SocketAddr; 0] = [];
        let none = TcpStream::connect(&client, &all[..]).await.unwrap_err();
        assert_eq!(none.kind(), std::io::ErrorKind::InvalidInput);
    });
}

#[test]
fn what_the_peer_has_reset_can_be_closed() {
    within(10, async || {
        let (server, client) = hosts();
        let listener = TcpListener::bind(&server, (SERVER, 7)).unwrap();
        let mut near = TcpStream::connect(&client, (SERVER, 7)).await.unwrap();
        let (far, _) = listener.accept().await.unwrap();
        far.get_ref().set_linger(Some(Duration::ZERO)).unwrap();
        drop(far);
        let reset = near.read(&mut [0; 8]).await.unwrap_err();
        assert_eq!(reset.kind(), std::io::ErrorKind::ConnectionReset);
        let plain = near.get_ref().shutdown(Shutdown::Write).unwrap_err();
        assert_eq!(plain.kind(), std::io::ErrorKind::NotConnected);
        AsyncWriteExt::close(&mut near).await.unwrap();
    });
}

#[test]
fn a_stream_goes_to_the_blocking_world_and_back() {
    within(10, async || {
        let (server, client) = hosts();
        let (far, near) = connection(&server, &client).await;
        let near = near.into_blocking();
        std::io::Write::write_all(&mut &near, b"hello").unwrap();
        let near = TcpStream::from(near);
        let mut text = [0; 8];
        assert_eq!(far.peek(&mut text).await.unwrap(), 5);
        assert_eq!(far.read(&mut text).await.unwrap(), 5);
        drop(near);
        assert_eq!(far.read(&mut text).await.unwrap(), 0);
    });
}

#[test]
fn datagrams_go_there_and_back() {
    within(10, async || {
        let (server, client) = hosts();
        let socket = UdpSocket::bind(&server, (SERVER, 7)).unwrap();
        everywhere(&socket);
        let near = UdpSocket::bind(&client, ("192.0.2.2", 0)).unwrap();
        near.connect((SERVER, 7)).unwrap();
        let echo = async {
            let mut text = [0; 64];
            for _ in 0..100 {
                let (length, from) = socket.recv_from(&mut text).await.unwrap();
                socket.send_to(&text[..length], from).await.unwrap();
            }
        };
        let talk = async {
            let mut text = [0; 64];
            for i in 0..100u8 {
                near.send(&[i]).await.unwrap();
                assert_eq!(near.recv(&mut text).await.unwrap(), 1);
                assert_eq!(text[0], i);
            }
        };
        zip(echo, talk).await;
    });
}
