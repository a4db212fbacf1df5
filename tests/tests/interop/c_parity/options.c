/* getsockopt and setsockopt: values, lengths, what there is not. */
#include "parity.h"

/* One line: the value and its length. */
static void get(const char *what, int fd, int level, int option)
{
    char name[80];
    int value = -1;
    socklen_t length = sizeof value;
    errno = 0;
    int told = getsockopt(fd, level, option, &value, &length);
    snprintf(name, sizeof name, "get %s (%u bytes)", what, length);
    say(name, told < 0 ? told : value, errno);
}

/* One line: the value that it has then. */
static void set(const char *what, int fd, int level, int option, int value)
{
    char name[80];
    int now = 0;
    socklen_t length = sizeof now;
    snprintf(name, sizeof name, "set %s to %d", what, value);
    errno = 0;
    int done = setsockopt(fd, level, option, &value, sizeof value);
    if (done == 0)
        done = getsockopt(fd, level, option, &now, &length);
    say(name, done < 0 ? done : now, errno);
}

#define GET(level, option) get(#option, fd, level, option)
#define SET(level, option, value) set(#option, fd, level, option, value)

static void of_sockets(int kind, const char *what)
{
    int fd = must("socket", socket(AF_INET, kind, 0));
    printf("options of %s\n", what);
    GET(SOL_SOCKET, SO_TYPE);
    GET(SOL_SOCKET, SO_DOMAIN);
    GET(SOL_SOCKET, SO_PROTOCOL);
    GET(SOL_SOCKET, SO_ERROR);
    GET(SOL_SOCKET, SO_ACCEPTCONN);
    GET(SOL_SOCKET, SO_REUSEADDR);
    SET(SOL_SOCKET, SO_REUSEADDR, 7);
    SET(SOL_SOCKET, SO_REUSEPORT, 1);
    SET(SOL_SOCKET, SO_KEEPALIVE, 1);
    SET(SOL_SOCKET, SO_BROADCAST, 1);
    SET(SOL_SOCKET, SO_RCVBUF, 10000);
    SET(SOL_SOCKET, SO_SNDBUF, 10000);
    SET(SOL_SOCKET, SO_OOBINLINE, 1);
    SET(SOL_SOCKET, SO_TYPE, 1);
    SET(SOL_SOCKET, SO_ERROR, 1);
    SET(SOL_SOCKET, SO_ACCEPTCONN, 1);
    SET(SOL_SOCKET, 9999, 1);
    GET(SOL_SOCKET, 9999);
    GET(4711, 1);
    SET(4711, 1, 1);
    SET(IPPROTO_IP, IP_TTL, 0);
    SET(IPPROTO_IP, IP_TTL, 7);
    SET(IPPROTO_IP, IP_TTL, 256);
    SET(IPPROTO_IP, IP_TTL, -1);
    SET(IPPROTO_IP, IP_TOS, 16);
    SET(IPPROTO_IP, IP_MTU_DISCOVER, 2);
    SET(IPPROTO_IP, IP_MTU_DISCOVER, 77);
    GET(IPPROTO_IP, IP_MTU);
    GET(IPPROTO_IP, IP_MULTICAST_TTL);
    GET(IPPROTO_IP, IP_MULTICAST_LOOP);
    SET(IPPROTO_IP, IP_RECVERR, 1);
    SET(IPPROTO_IP, IP_PKTINFO, 1);
    SET(IPPROTO_IP, 9999, 1);
    GET(IPPROTO_IP, 9999);
    GET(IPPROTO_IPV6, IPV6_V6ONLY);
    SET(IPPROTO_TCP, TCP_NODELAY, 1);
    close(fd);
}

static void of_streams(void)
{
    int fd = must("socket", socket(AF_INET, SOCK_STREAM, 0));
    printf("options of tcp\n");
    GET(IPPROTO_TCP, TCP_NODELAY);
    SET(IPPROTO_TCP, TCP_NODELAY, 5);
    SET(IPPROTO_TCP, TCP_CORK, 1);
    GET(IPPROTO_TCP, TCP_MAXSEG);
    SET(IPPROTO_TCP, TCP_MAXSEG, 1000);
    SET(IPPROTO_TCP, TCP_MAXSEG, 1);
    GET(IPPROTO_TCP, TCP_KEEPIDLE);
    GET(IPPROTO_TCP, TCP_KEEPINTVL);
    GET(IPPROTO_TCP, TCP_KEEPCNT);
    SET(IPPROTO_TCP, TCP_KEEPIDLE, 60);
    SET(IPPROTO_TCP, TCP_KEEPIDLE, 0);
    SET(IPPROTO_TCP, TCP_KEEPIDLE, 32768);
    SET(IPPROTO_TCP, TCP_KEEPINTVL, 0);
    SET(IPPROTO_TCP, TCP_KEEPCNT, 128);
    SET(IPPROTO_TCP, TCP_USER_TIMEOUT, 5000);
    SET(IPPROTO_TCP, TCP_USER_TIMEOUT, -1);
    GET(IPPROTO_TCP, TCP_DEFER_ACCEPT);
    GET(IPPROTO_TCP, TCP_SYNCNT);
    SET(IPPROTO_TCP, TCP_SYNCNT, 0);
    GET(IPPROTO_TCP, TCP_LINGER2);
    GET(IPPROTO_TCP, TCP_QUICKACK);
    SET(IPPROTO_TCP, TCP_NOTSENT_LOWAT, 4096);
    SET(IPPROTO_TCP, 9999, 1);
    GET(IPPROTO_TCP, 9999);
    int near, far;
    close(fd);
    connection(&near, &far);
    fd = near;
    get("SO_ACCEPTCONN of a connection", fd, SOL_SOCKET, SO_ACCEPTCONN);
    get("SO_TYPE of a connection", fd, SOL_SOCKET, SO_TYPE);
    CHECK("set SO_LINGER", setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 3}, 8));
    get("SO_LINGER, its first word", fd, SOL_SOCKET, SO_LINGER);
    close(near);
    close(far);
    union address address;
    fd = listening("127.0.0.1", &address);
    get("SO_ACCEPTCONN of a listener", fd, SOL_SOCKET, SO_ACCEPTCONN);
    close(fd);
}

/* An interface by which this host reaches itself, and its address. */
#ifdef TAPSTACK
#define DEVICE "tap0"
#define OWN "192.0.2.2"
#else
#define DEVICE "lo"
#define OWN "127.0.0.1"
#endif

static int sends_to_groups_from(int fd, const char *address)
{
    struct in_addr found;
    socklen_t length = sizeof found;
    must("IP_MULTICAST_IF", getsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &found, &length));
    return found.s_addr == inet_addr(address);
}

static void device(const char *what, int fd)
{
    char name[IFNAMSIZ] = "";
    socklen_t length = sizeof name;
    CHECK(what, getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, &length));
    CHECK("of this length", length ? (int)(length - sizeof DEVICE) : -1);
    CHECK("by its name", strcmp(name, length ? DEVICE : ""));
}

static void of_interfaces(void)
{
    union address address;
    socklen_t length = at(&address, "127.0.0.1", 0);
    printf("options of interfaces\n");
    int listener = must("socket", socket(AF_INET, SOCK_STREAM, 0));
    device("SO_BINDTODEVICE of a new socket", listener);
    must("bind", setsockopt(listener, SOL_SOCKET, SO_BINDTODEVICE, DEVICE, sizeof DEVICE));
    must("bind", bind(listener, &address.any, length));
    must("listen", listen(listener, 1));
    must("getsockname", getsockname(listener, &address.any, &length));
    int near = must("socket", socket(AF_INET, SOCK_STREAM, 0));
    must("connect", connect(near, &address.any, length));
    int far = must("accept", accept(listener, NULL, NULL));
    device("of a listener", listener);
    device("of who has connected", near);
    device("of what was accepted", far);
    close(near), close(far), close(listener);
    int fd = must("socket", socket(AF_INET, SOCK_DGRAM, 0));
    GET(IPPROTO_IP, IP_MULTICAST_IF);
    struct ip_mreqn wish = {.imr_address.s_addr = inet_addr(OWN)};
    CHECK("by address", setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &wish.imr_address, 4));
    CHECK("which is told", sends_to_groups_from(fd, OWN));
    wish.imr_address.s_addr = inet_addr("198.51.100.1");
    CHECK("by nobody's", setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &wish.imr_address, 4));
    CHECK("the first is told", sends_to_groups_from(fd, OWN));
    wish = (struct ip_mreqn){.imr_ifindex = if_nametoindex(DEVICE)};
    CHECK("by number", setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &wish, sizeof wish));
    CHECK("no address is told", sends_to_groups_from(fd, "0.0.0.0"));
    wish.imr_ifindex = 4711;
    CHECK("by none's", setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &wish, sizeof wish));
    wish.imr_ifindex = 0, wish.imr_address.s_addr = inet_addr(OWN);
    CHECK("behind a group", setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &wish, 8));
    CHECK("it is told", sends_to_groups_from(fd, OWN));
    CHECK("too short", setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, "abc", 3));
    close(fd);
}

static void of_ipv6(void)
{
    int fd = must("socket", socket(AF_INET6, SOCK_DGRAM, 0));
    printf("options of IPv6\n");
    GET(SOL_SOCKET, SO_DOMAIN);
    GET(IPPROTO_IPV6, IPV6_V6ONLY);
    SET(IPPROTO_IPV6, IPV6_V6ONLY, 1);
    GET(IPPROTO_IPV6, IPV6_UNICAST_HOPS);
    SET(IPPROTO_IPV6, IPV6_UNICAST_HOPS, 7);
    SET(IPPROTO_IPV6, IPV6_UNICAST_HOPS, 256);
    SET(IPPROTO_IPV6, IPV6_UNICAST_HOPS, -1);
    GET(IPPROTO_IPV6, IPV6_MULTICAST_HOPS);
    GET(IPPROTO_IPV6, IPV6_MULTICAST_LOOP);
    SET(IPPROTO_IPV6, IPV6_TCLASS, 16);
    SET(IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
    SET(IPPROTO_IPV6, 9999, 1);
    union address address;
    at(&address, "::1", 0);
    must("bind", bind(fd, &address.any, sizeof address.v6));
    SET(IPPROTO_IPV6, IPV6_V6ONLY, 0);
    close(fd);
}

static void lengths(void)
{
    int fd = must("socket", socket(AF_INET, SOCK_STREAM, 0));
    int value = -1;
    char byte = 1;
    socklen_t length = 1;
    struct timeval time = {0, 30000};
    printf("lengths of options\n");
    CHECK("set of one byte", setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &byte, 1));
    CHECK("set of no byte", setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &byte, 0));
    CHECK("set IP_TTL of one byte", setsockopt(fd, IPPROTO_IP, IP_TTL, &byte, 1));
    CHECK("set TCP_NODELAY of one byte", setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &byte, 1));
    CHECK("set SO_LINGER of one word", setsockopt(fd, SOL_SOCKET, SO_LINGER, &value, 4));
    CHECK("set SO_RCVTIMEO of one word", setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &value, 4));
    CHECK("get of one byte", getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, &length));
    CHECK("its length", length);
    CHECK("its value", value & 0xff);
    length = 0;
    CHECK("get of no byte", getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, &length));
    CHECK("no length", length);
    length = -1;
    CHECK("get of a negative length", getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, &length));
    CHECK("set SO_RCVTIMEO", setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time));
    time.tv_usec = 1000000;
    CHECK("set a time of too many us", setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time));
    time = (struct timeval){-1, 0};
    CHECK("set a negative time", setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time));
    time = (struct timeval){2, 0};
    must("SO_SNDTIMEO", setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time));
    time = (struct timeval){0, 0};
    length = sizeof time;
    CHECK("get SO_SNDTIMEO", getsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &time, &length));
    CHECK("seconds of it", time.tv_sec);
    close(fd);
}

void options(void)
{
    of_sockets(SOCK_STREAM, "a stream");
    of_sockets(SOCK_DGRAM, "a datagram socket");
    of_streams();
    of_interfaces();
    of_ipv6();
    lengths();
}
