/* poll and select of sockets in every state. */
#include "parity.h"

#define ALL (POLLIN | POLLPRI | POLLOUT | POLLRDHUP)

static int now(int fd)
{
    struct pollfd polled = {.fd = fd, .events = ALL};
    must("poll", poll(&polled, 1, 0));
    return polled.revents;
}

static void states(void)
{
    int near, far;
    union address address;
    int fd = must("socket", socket(AF_INET, SOCK_STREAM, 0));
    CHECK("poll of a new stream", now(fd));
    close(fd);
    CHECK("poll of a closed one", now(fd));
    fd = must("socket", socket(AF_INET, SOCK_DGRAM, 0));
    CHECK("poll of a new datagram socket", now(fd));
    close(fd);
    fd = listening("127.0.0.1", &address);
    CHECK("poll of a listener", now(fd));
    near = must("socket", socket(AF_INET, SOCK_STREAM, 0));
    must("connect", connect(near, &address.any, sizeof address.v4));
    await(fd, POLLIN);
    CHECK("poll of a listener with a connection", now(fd));
    far = must("accept", accept(fd, NULL, NULL));
    CHECK("poll of it when that is accepted", now(fd));
    close(fd);
    CHECK("poll of a connection", now(near));
    must("send", send(near, "x", 1, 0));
    await(far, POLLIN);
    CHECK("poll of one with text", now(far));
    must("shutdown", shutdown(near, SHUT_WR));
    await(far, POLLRDHUP);
    CHECK("poll of one whose peer has ended", now(far));
    CHECK("poll of one that has ended itself", now(near));
    must("shutdown", shutdown(far, SHUT_WR));
    await(near, POLLRDHUP);
    await(far, 0);
    CHECK("poll of one that both have ended", now(far));
    close(near);
    close(far);
    connection(&near, &far);
    must("shutdown", shutdown(near, SHUT_RD));
    CHECK("poll of one that does not read", now(near));
    close(near);
    close(far);
}

static void selected(void)
{
    int near, far;
    connection(&near, &far);
    int most = (near > far ? near : far) + 1;
    fd_set in, out, except;
    struct timeval time = {0, 20000};
    FD_ZERO(&in);
    FD_ZERO(&out);
    FD_ZERO(&except);
    FD_SET(near, &in);
    FD_SET(far, &in);
    FD_SET(near, &except);
    CHECK("select of nothing", select(most, &in, NULL, &except, &time));
    FD_SET(near, &in);
    FD_SET(far, &in);
    FD_SET(near, &out);
    time = (struct timeval){0, 20000};
    CHECK("select for writing", select(most, &in, &out, NULL, &time));
    CHECK("it is", FD_ISSET(near, &out));
    must("send", send(near, "x", 1, 0));
    FD_ZERO(&in);
    FD_SET(near, &in);
    FD_SET(far, &in);
    time = (struct timeval){1, 0};
    CHECK("select for reading", select(most, &in, NULL, NULL, &time));
    CHECK("it is the other", FD_ISSET(far, &in) && !FD_ISSET(near, &in));
    close(near);
    close(far);
    FD_ZERO(&in);
    FD_SET(near, &in);
    CHECK("select of a closed one", select(most, &in, NULL, NULL, &time));
    CHECK("select of -1", select(-1, NULL, NULL, NULL, &time));
}

void waiting(void)
{
    states();
    selected();
}
