/* What is sent and received by datagram sockets. */
#include "parity.h"

static void receiving(void)
{
    union address one, other, from;
    char text[16];
    socklen_t length;
    int a = bound(SOCK_DGRAM, "127.0.0.1", &one), b = bound(SOCK_DGRAM, "127.0.0.1", &other);
    CHECK("recv of no datagram", recv(b, text, 16, MSG_DONTWAIT));
    CHECK("sendto", sendto(a, "abcdef", 6, 0, &other.any, sizeof other.v4));
    await(b, POLLIN);
    int count = -1;
    CHECK("FIONREAD of datagrams", ioctl(b, FIONREAD, &count));
    CHECK("is the next one's", count);
    CHECK("MSG_PEEK of a datagram", recv(b, text, 3, MSG_PEEK));
    CHECK("MSG_PEEK and MSG_TRUNC", recv(b, text, 3, MSG_PEEK | MSG_TRUNC));
    length = sizeof from;
    CHECK("recvfrom of a datagram", recvfrom(b, text, 3, MSG_TRUNC, &from.any, &length));
    CHECK("its address's length", length);
    CHECK("its address", from.v4.sin_port == one.v4.sin_port);
    CHECK("the rest is lost", recv(b, text, 16, MSG_DONTWAIT));
    CHECK("a datagram of nothing", sendto(a, "", 0, 0, &other.any, sizeof other.v4));
    await(b, POLLIN);
    CHECK("FIONREAD of nothing", ioctl(b, FIONREAD, &count));
    CHECK("is 0", count);
    CHECK("recv of nothing", recv(b, text, 16, MSG_DONTWAIT));
    must("sendto", sendto(a, "abc", 3, 0, &other.any, sizeof other.v4));
    await(b, POLLIN);
    CHECK("recv into nothing", recv(b, text, 0, MSG_DONTWAIT));
    CHECK("takes it away", recv(b, text, 16, MSG_DONTWAIT));
    must("sendto", sendto(a, "abc", 3, 0, &other.any, sizeof other.v4));
    await(b, POLLIN);
    length = 4;
    CHECK("recvfrom, little room", recvfrom(b, text, 16, 0, &from.any, &length));
    CHECK("tells the whole length", length);
    close(a);
    close(b);
}

/* To where a datagram of a new socket cannot go. */
static void vain(const char *name, const char *to, int port, socklen_t length)
{
    union address address;
    socklen_t whole = at(&address, to, port);
    int fd = must("socket", socket(AF_INET, SOCK_DGRAM, 0));
    CHECK(name, sendto(fd, "x", 1, 0, &address.any, length ? length : whole));
    close(fd);
}

static void sending(void)
{
    static char much[70000];
    union address address, other;
    int fd = bound(SOCK_DGRAM, "127.0.0.1", &address);
    CHECK("send to nobody", send(fd, "x", 1, 0));
    CHECK("write to nobody", write(fd, "x", 1));
    vain("sendto a short address", "127.0.0.1", 9, 8);
    vain("sendto the other family", "::1", 9, 0);
    vain("sendto port 0", "127.0.0.1", 0, 0);
    vain("sendto a broadcast address", "192.0.2.255", 9, 0);
    CHECK("sendto, the longest", sendto(fd, much, 65507, 0, &address.any, sizeof address.v4));
    await(fd, POLLIN);
    CHECK("recv, the longest", recv(fd, much, sizeof much, MSG_DONTWAIT));
    CHECK("sendto, one byte more", sendto(fd, much, 65508, 0, &address.any, sizeof address.v4));
    CHECK("sendto, much more", sendto(fd, much, 70000, 0, &address.any, sizeof address.v4));
    CHECK("sendto with MSG_OOB", sendto(fd, "x", 1, MSG_OOB, &address.any, sizeof address.v4));
    close(fd);
    fd = must("socket", socket(AF_INET, SOCK_DGRAM, 0));
    at(&other, "192.0.2.255", 9);
    CHECK("connect to a broadcast address", connect(fd, &other.any, sizeof other.v4));
    int on = 1;
    CHECK("SO_BROADCAST", setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof on));
    CHECK("connect to it with that", connect(fd, &other.any, sizeof other.v4));
    close(fd);
}

static void peers(void)
{
    static char much[65508];
    union address address, other, peer;
    char text[8];
    socklen_t length = sizeof peer;
    int server = bound(SOCK_DGRAM, "127.0.0.1", &address);
    int fd = must("socket", socket(AF_INET, SOCK_DGRAM, 0));
    CHECK("shutdown without a peer", shutdown(fd, SHUT_RD));
    CHECK("connect of datagrams, short", connect(fd, &address.any, 8));
    at(&other, "::1", 9);
    CHECK("connect to the other family", connect(fd, &other.any, sizeof other.v6));
    CHECK("getpeername without a peer", getpeername(fd, &peer.any, &length));
    CHECK("connect of datagrams", connect(fd, &address.any, sizeof address.v4));
    CHECK("getpeername", getpeername(fd, &peer.any, &length));
    CHECK("is it", peer.v4.sin_port == address.v4.sin_port);
    CHECK("getsockname", getsockname(fd, &peer.any, &length));
    CHECK("has an address", ntohl(peer.v4.sin_addr.s_addr) == INADDR_LOOPBACK);
    CHECK("bind with a peer", bind(fd, &address.any, sizeof address.v4));
    CHECK("send to a peer", send(fd, "x", 1, 0));
    await(server, POLLIN);
    CHECK("is received", recv(server, text, 8, 0));
    CHECK("send one byte too many", send(fd, much, sizeof much, 0));
    peer.any.sa_family = AF_UNSPEC;
    CHECK("connect to no family", connect(fd, &peer.any, sizeof peer.v4));
    CHECK("getpeername after it", getpeername(fd, &peer.any, &length));
    CHECK("send after it", send(fd, "x", 1, 0));
    close(server);
    must("connect", connect(fd, &address.any, sizeof address.v4));
    CHECK("send to who has gone", send(fd, "x", 1, 0));
    CHECK("is polled", await(fd, POLLIN));
    CHECK("recv of a refusal", recv(fd, text, 8, MSG_DONTWAIT));
    CHECK("recv after it", recv(fd, text, 8, MSG_DONTWAIT));
    must("send", send(fd, "x", 1, 0));
    await(fd, POLLIN);
    CHECK("MSG_PEEK of a refusal", recv(fd, text, 8, MSG_DONTWAIT | MSG_PEEK));
    CHECK("which takes it", recv(fd, text, 8, MSG_DONTWAIT | MSG_PEEK));
    CHECK("shutdown with a peer", shutdown(fd, SHUT_RD));
    close(fd);
    fd = must("socket", socket(AF_INET, SOCK_DGRAM, 0));
    at(&address, "127.0.0.1", 0);
    CHECK("connect of datagrams to port 0", connect(fd, &address.any, sizeof address.v4));
    CHECK("getpeername then", getpeername(fd, &peer.any, &length));
    close(fd);
}

/* Who sends no more still receives. */
static void halves(void)
{
    union address address, other;
    char text[8];
    int server = bound(SOCK_DGRAM, "127.0.0.1", &address);
    int fd = bound(SOCK_DGRAM, "127.0.0.1", &other);
    must("connect", connect(fd, &address.any, sizeof address.v4));
    must("connect", connect(server, &other.any, sizeof other.v4));
    CHECK("shutdown for writing, with a peer", shutdown(fd, SHUT_WR));
    CHECK("send after it", send(fd, "x", 1, 0));
    CHECK("write after it", write(fd, "x", 1));
    CHECK("which raise", sigpipes());
    await(server, 0);
    CHECK("the peer sends", send(server, "abc", 3, 0));
    await(fd, POLLIN);
    CHECK("which arrives", recv(fd, text, 8, MSG_DONTWAIT));
    CHECK("the peer sends again", send(server, "de", 2, 0));
    await(fd, POLLIN);
    CHECK("which arrives, too", recv(fd, text, 8, MSG_DONTWAIT));
    CHECK("the peer is not refused", recv(server, text, 8, MSG_DONTWAIT));
    close(fd);
    await(server, 0);
    CHECK("the peer sends to who has gone", send(server, "f", 1, 0));
    await(server, POLLIN);
    CHECK("and is refused", recv(server, text, 8, MSG_DONTWAIT));
    must("shutdown", shutdown(server, SHUT_RDWR));
    await(server, 0);
    usleep(100000);
    socklen_t length = sizeof other;
    CHECK("getsockname after shutdown for both", getsockname(server, &other.any, &length));
    close(server);
}

static void versions(void)
{
    static char much[65508];
    union address address, from;
    char text[8];
    socklen_t length = sizeof from;
    int on = 1;
    int fd = bound(SOCK_DGRAM, "::", &address);
    int v4 = must("socket", socket(AF_INET, SOCK_DGRAM, 0));
    union address to;
    at(&to, "127.0.0.1", ntohs(address.v6.sin6_port));
    CHECK("IPv4 to a socket for both", sendto(v4, "x", 1, 0, &to.any, sizeof to.v4));
    await(fd, POLLIN);
    CHECK("it arrives", recvfrom(fd, text, 8, 0, &from.any, &length));
    CHECK("in IPv6's dress", from.any.sa_family == AF_INET6);
    CHECK("which is so long", length);
    CHECK("the answer", sendto(fd, "y", 1, 0, &from.any, length));
    await(v4, POLLIN);
    CHECK("arrives", recv(v4, text, 8, MSG_DONTWAIT));
    CHECK("one byte too many", sendto(fd, much, sizeof much, 0, &from.any, length));
    must("connect", connect(fd, &from.any, length));
    CHECK("to a peer, too", send(fd, much, sizeof much, 0));
    close(v4);
    close(fd);
    fd = must("socket", socket(AF_INET6, SOCK_DGRAM, 0));
    must("IPV6_V6ONLY", setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on));
    at(&to, "::ffff:127.0.0.1", 9);
    CHECK("only IPv6 connects to IPv4", connect(fd, &to.any, sizeof to.v6));
    close(fd);
}

void datagrams(void)
{
    receiving();
    sending();
    peers();
    halves();
    versions();
}
