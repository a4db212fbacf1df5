/* bind, listen, and the names that sockets have. */
#include "parity.h"

static void binding(void)
{
    union address address, other;
    int fd = bound(SOCK_STREAM, "127.0.0.1", &address);
    CHECK("bind twice", bind(fd, &address.any, sizeof address.v4));
    int second = must("socket", socket(AF_INET, SOCK_STREAM, 0));
    CHECK("bind to what is had", bind(second, &address.any, sizeof address.v4));
    CHECK("bind to a short address", bind(second, &address.any, 8));
    CHECK("bind to no address", bind(second, &address.any, 0));
    at(&other, "198.18.0.1", 0);
    CHECK("bind to another host's", bind(second, &other.any, sizeof other.v4));
    at(&other, "::1", 0);
    CHECK("bind to the other family", bind(second, &other.any, sizeof other.v6));
    at(&other, "0.0.0.0", 0);
    other.any.sa_family = AF_UNSPEC;
    CHECK("bind to any of no family", bind(second, &other.any, sizeof other.v4));
    close(second);
    second = must("socket", socket(AF_INET6, SOCK_STREAM, 0));
    CHECK("bind IPv6 to IPv4", bind(second, &address.any, sizeof address.v6));
    at(&other, "::ffff:127.0.0.1", 0);
    CHECK("bind IPv6 to IPv4 in disguise", bind(second, &other.any, sizeof other.v6));
    close(second);
    int on = 1;
    second = must("socket", socket(AF_INET6, SOCK_STREAM, 0));
    CHECK("only IPv6", setsockopt(second, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on));
    CHECK("bind only IPv6 to IPv4 in disguise", bind(second, &other.any, sizeof other.v6));
    close(second);
    close(fd);
    second = must("socket", socket(AF_INET, SOCK_STREAM, 0));
    CHECK("bind to what was had", bind(second, &address.any, sizeof address.v4));
    close(second);
}

static void listeners(void)
{
    union address address;
    socklen_t length = sizeof address;
    int fd = must("socket", socket(AF_INET, SOCK_DGRAM, 0));
    CHECK("listen for datagrams", listen(fd, 1));
    CHECK("accept of datagrams", accept(fd, NULL, NULL));
    close(fd);
    fd = must("socket", socket(AF_INET, SOCK_STREAM, 0));
    CHECK("accept without listen", accept(fd, NULL, NULL));
    CHECK("listen without bind", listen(fd, -1));
    CHECK("listen twice", listen(fd, 3));
    CHECK("getsockname of it", getsockname(fd, &address.any, &length));
    CHECK("it has a port", address.v4.sin_port != 0);
    CHECK("bind what listens", bind(fd, &address.any, sizeof address.v4));
    CHECK("connect what listens", connect(fd, &address.any, sizeof address.v4));
    CHECK("getpeername of it", getpeername(fd, &address.any, &length));
    CHECK("accept4 with no flag", accept4(fd, NULL, NULL, 0x100000));
    CHECK("send to it", send(fd, "x", 1, MSG_NOSIGNAL));
    CHECK("recv of it", recv(fd, &address, 1, 0));
    int on = 1;
    CHECK("FIONBIO", ioctl(fd, FIONBIO, &on));
    CHECK("accept of nobody", accept(fd, NULL, NULL));
    CHECK("FIONREAD of it", ioctl(fd, FIONREAD, &on));
    CHECK("shutdown of it for writing", shutdown(fd, SHUT_WR));
    close(fd);
}

static void reported(void)
{
    union address address, told;
    int fd = bound(SOCK_STREAM, "127.0.0.1", &address);
    memset(&told, 0x55, sizeof told);
    socklen_t length = 4;
    CHECK("getsockname, cut", getsockname(fd, &told.any, &length));
    CHECK("its whole length", length);
    CHECK("no more than asked for", told.v4.sin_addr.s_addr == 0x55555555);
    length = sizeof told;
    CHECK("getsockname, room", getsockname(fd, &told.any, &length));
    CHECK("its length", length);
    CHECK("its family", told.any.sa_family);
    CHECK("the same", told.v4.sin_port == address.v4.sin_port);
    length = -1;
    CHECK("getsockname, negative room", getsockname(fd, &told.any, &length));
    length = sizeof told;
    CHECK("getpeername of nobody", getpeername(fd, &told.any, &length));
    close(fd);
    fd = must("socket", socket(AF_INET6, SOCK_DGRAM, 0));
    length = sizeof told;
    CHECK("getsockname of IPv6", getsockname(fd, &told.any, &length));
    CHECK("its length of IPv6", length);
    CHECK("its port before bind", ntohs(told.v6.sin6_port));
    close(fd);
}

void naming(void)
{
    binding();
    listeners();
    reported();
}
