/* How streams end. */
#include "parity.h"

static void halves(void)
{
    int near, far;
    char text[8];
    union address peer;
    socklen_t length = sizeof peer;
    connection(&near, &far);
    CHECK("shutdown of no half of a connection", shutdown(near, 7));
    CHECK("shutdown for writing", shutdown(near, SHUT_WR));
    CHECK("and again", shutdown(near, SHUT_WR));
    CHECK("send after it", send(near, "x", 1, MSG_NOSIGNAL));
    CHECK("with MSG_NOSIGNAL nothing is raised", sigpipes());
    CHECK("write after it", write(near, "x", 1));
    CHECK("which raises", sigpipes());
    CHECK("send of 0 bytes after it", send(near, "", 0, MSG_NOSIGNAL));
    CHECK("the other end is told", await(far, POLLIN | POLLRDHUP));
    CHECK("recv of the end", recv(far, text, 8, 0));
    CHECK("recv of the end again", recv(far, text, 8, 0));
    CHECK("MSG_PEEK at the end", recv(far, text, 8, MSG_PEEK));
    CHECK("the other half goes on", send(far, "yes", 3, 0));
    CHECK("and arrives", recv(near, text, 8, 0));
    CHECK("it still has a peer", getpeername(near, &peer.any, &length));
    CHECK("shutdown for reading", shutdown(near, SHUT_RD));
    CHECK("recv after it", recv(near, text, 8, 0));
    close(near);
    close(far);
    connection(&near, &far);
    CHECK("shutdown for both", shutdown(near, SHUT_RDWR));
    CHECK("recv after both", recv(near, text, 8, 0));
    CHECK("send after both", send(near, "x", 1, MSG_NOSIGNAL));
    CHECK("the other end after both", await(far, POLLIN | POLLRDHUP));
    close(near);
    close(far);
}

/* A connection whose other end has reset it. */
static int reset(void)
{
    int near, far;
    struct linger at_once = {1, 0};
    connection(&near, &far);
    must("SO_LINGER", setsockopt(far, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once));
    close(far);
    /* Until it has hung up, which needs no asking for. */
    await(near, 0);
    return near;
}

static void resets(void)
{
    char text[8];
    int error;
    socklen_t length = sizeof error;
    int near = reset();
    CHECK("a reset is polled", await(near, POLLIN | POLLOUT | POLLRDHUP));
    CHECK("recv of a reset", recv(near, text, 8, 0));
    CHECK("recv after it", recv(near, text, 8, 0));
    CHECK("send after it", send(near, "x", 1, MSG_NOSIGNAL));
    CHECK("shutdown after it", shutdown(near, SHUT_WR));
    union address peer;
    socklen_t size = sizeof peer;
    CHECK("getpeername after it", getpeername(near, &peer.any, &size));
    CHECK("getsockname after it", getsockname(near, &peer.any, &size));
    close(near);
    near = reset();
    CHECK("send of a reset", send(near, "x", 1, MSG_NOSIGNAL));
    CHECK("send again", send(near, "x", 1, MSG_NOSIGNAL));
    CHECK("recv after that", recv(near, text, 8, 0));
    close(near);
    near = reset();
    CHECK("SO_ERROR of a reset", getsockopt(near, SOL_SOCKET, SO_ERROR, &error, &length));
    CHECK("is", error);
    CHECK("recv after SO_ERROR", recv(near, text, 8, 0));
    close(near);
}

static void unread(void)
{
    int near, far;
    char text[8];
    connection(&near, &far);
    must("send", send(near, "unread", 6, 0));
    await(far, POLLIN);
    close(far);
    await(near, POLLIN);
    CHECK("who had not read resets", recv(near, text, 8, 0));
    close(near);
}

/* What is asked of a socket whose both directions have ended. */
static void asked(int fd)
{
    union address name;
    struct tcp_info info;
    struct linger none = {0, 0};
    int error = -1;
    socklen_t length = sizeof error;
    CHECK("SO_ERROR at the end", getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length));
    CHECK("is none", error);
    length = sizeof info;
    CHECK("TCP_INFO at the end", getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length));
    CHECK("SO_LINGER at the end", setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none));
    length = sizeof name;
    CHECK("getsockname at the end", getsockname(fd, &name.any, &length));
    CHECK("getpeername, perhaps",
          getpeername(fd, &name.any, &length) == 0 || errno == ENOTCONN);
}

static void ended(void)
{
    union address own, address;
    int near, far, listener = listening("127.0.0.1", &address);
    near = bound(SOCK_STREAM, "127.0.0.1", &own);
    must("connect", connect(near, &address.any, sizeof address.v4));
    far = must("accept", accept(listener, NULL, NULL));
    must("shutdown", shutdown(far, SHUT_WR));
    await(near, POLLIN);
    must("shutdown", shutdown(near, SHUT_WR));
    await(far, POLLIN);
    usleep(100000);
    asked(near);
    asked(far);
    close(near);
    close(far);
    usleep(100000);
    near = must("socket", socket(AF_INET, SOCK_STREAM, 0));
    CHECK("its port is another's when it is closed", bind(near, &own.any, sizeof own.v4));
    close(near);
    CHECK("shutdown of a listener", shutdown(listener, SHUT_RDWR));
    usleep(100000);
    int error = -1;
    socklen_t length = sizeof error;
    CHECK("SO_ACCEPTCONN then", getsockopt(listener, SOL_SOCKET, SO_ACCEPTCONN, &error, &length));
    CHECK("is not set", error);
    near = must("socket", socket(AF_INET, SOCK_STREAM, 0));
    CHECK("connect then", connect(near, &address.any, sizeof address.v4));
    close(near);
    close(listener);
    connection(&near, &far);
    must("shutdown", shutdown(near, SHUT_RDWR));
    await(far, POLLIN);
    asked(near);
    close(near);
    close(far);
}

void endings(void)
{
    ended();
    halves();
    resets();
    unread();
}
