/* Sockets that come about, and what is none. */
#include "parity.h"

static void sockets(void)
{
    CHECK_MADE("socket tcp", socket(AF_INET, SOCK_STREAM, 0));
    CHECK_MADE("socket tcp, by number", socket(AF_INET, SOCK_STREAM, IPPROTO_TCP));
    CHECK_MADE("socket udp of IPv6", socket(AF_INET6, SOCK_DGRAM, IPPROTO_UDP));
    CHECK_MADE("socket of no family", socket(77, SOCK_STREAM, 0));
    CHECK_MADE("socket of no type", socket(AF_INET, 13, 0));
    CHECK_MADE("socket of type 0", socket(AF_INET, 0, 0));
    CHECK_MADE("socket of another type", socket(AF_INET, SOCK_SEQPACKET, 0));
    CHECK_MADE("socket of no flag", socket(AF_INET, SOCK_STREAM | 0x100000, 0));
    CHECK_MADE("socket stream of udp", socket(AF_INET, SOCK_STREAM, IPPROTO_UDP));
    CHECK_MADE("socket datagram of tcp", socket(AF_INET, SOCK_DGRAM, IPPROTO_TCP));
    CHECK_MADE("socket of no protocol", socket(AF_INET, SOCK_STREAM, 251));
    CHECK_MADE("socket of a negative protocol", socket(AF_INET, SOCK_STREAM, -1));
}

static void flags(void)
{
    int fd = must("socket", socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    CHECK("flags, O_NONBLOCK asked for", fcntl(fd, F_GETFL, 0) & O_NONBLOCK);
    CHECK("flags, O_RDWR", fcntl(fd, F_GETFL, 0) & O_ACCMODE);
    CHECK("flags, FD_CLOEXEC asked for", fcntl(fd, F_GETFD, 0));
    int other = must("dup", dup(fd));
    CHECK("flags of a dup", fcntl(other, F_GETFD, 0));
    int off = 0;
    CHECK("FIONBIO off", ioctl(other, FIONBIO, &off));
    CHECK("flags, O_NONBLOCK is shared", fcntl(fd, F_GETFL, 0) & O_NONBLOCK);
    close(fd);
    CHECK("a dup lives on", listen(other, 1));
    close(other);
    CHECK("close twice", close(other));
    fd = must("socket", socket(AF_INET, SOCK_DGRAM, 0));
    CHECK("flags, none asked for", fcntl(fd, F_GETFL, 0) & O_NONBLOCK);
    CHECK("flags, no FD_CLOEXEC", fcntl(fd, F_GETFD, 0));
    close(fd);
}

/* All calls on something that is no socket. */
static void none(const char *what, int fd)
{
    union address address;
    socklen_t length = at(&address, "127.0.0.1", 0), size = sizeof(int);
    char name[64];
    int value = 1;
    struct iovec part = {&value, 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
#define ON(call, text) (snprintf(name, sizeof name, "%s of %s", text, what), CHECK_ON(call))
#define CHECK_ON(call) (errno = 0, value = (int)(call), say(name, value, errno))
    ON(bind(fd, &address.any, length), "bind");
    ON(listen(fd, 1), "listen");
    ON(accept(fd, NULL, NULL), "accept");
    ON(connect(fd, &address.any, length), "connect");
    ON(getsockname(fd, &address.any, &length), "getsockname");
    ON(getpeername(fd, &address.any, &length), "getpeername");
    ON(getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, &size), "getsockopt");
    ON(setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &value, sizeof value), "setsockopt");
    ON(shutdown(fd, SHUT_RD), "shutdown");
    ON(send(fd, "x", 1, 0), "send");
    ON(recv(fd, &value, 1, 0), "recv");
    ON(sendmsg(fd, &message, 0), "sendmsg");
    ON(recvmsg(fd, &message, 0), "recvmsg");
}

void making(void)
{
    int ends[2];
    sockets();
    flags();
    must("pipe", pipe(ends));
    none("a pipe", ends[0]);
    close(ends[0]);
    none("a closed one", ends[0]);
    close(ends[1]);
    none("-1", -1);
}
