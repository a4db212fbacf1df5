/* epoll: level, edge, one shot, and its errors. */
#include "parity.h"

static int control(int epoll, int operation, int fd, int events)
{
    struct epoll_event event = {.events = events, .data.u32 = 7};
    return epoll_ctl(epoll, operation, fd, &event);
}

/* The events of the only descriptor, in so many milliseconds; -1: none. */
static int wait_for(int epoll, int timeout)
{
    struct epoll_event event;
    int count = must("epoll_wait", epoll_wait(epoll, &event, 1, timeout));
    return count ? (int)event.events : -1;
}

static void modes(void)
{
    int near, far;
    char text[8];
    connection(&near, &far);
    int epoll = must("epoll_create1", epoll_create1(EPOLL_CLOEXEC));
    CHECK("add", control(epoll, EPOLL_CTL_ADD, far, EPOLLIN | EPOLLRDHUP));
    CHECK("nothing", wait_for(epoll, 10));
    must("send", send(near, "ab", 2, 0));
    CHECK("level", wait_for(epoll, 1000));
    CHECK("level again", wait_for(epoll, 10));
    must("recv", recv(far, text, 8, 0));
    CHECK("level no more", wait_for(epoll, 10));
    CHECK("edge", control(epoll, EPOLL_CTL_MOD, far, EPOLLIN | EPOLLET));
    must("send", send(near, "ab", 2, 0));
    CHECK("edge once", wait_for(epoll, 1000));
    CHECK("edge not again", wait_for(epoll, 10));
    must("send", send(near, "cd", 2, 0));
    CHECK("edge with more", wait_for(epoll, 1000));
    must("recv", recv(far, text, 8, 0));
    CHECK("one shot", control(epoll, EPOLL_CTL_MOD, far, EPOLLIN | EPOLLONESHOT));
    must("send", send(near, "ab", 2, 0));
    CHECK("one shot once", wait_for(epoll, 1000));
    CHECK("one shot not again", wait_for(epoll, 10));
    CHECK("armed again", control(epoll, EPOLL_CTL_MOD, far, EPOLLIN | EPOLLONESHOT));
    CHECK("one shot", wait_for(epoll, 1000));
    CHECK("for writing", control(epoll, EPOLL_CTL_MOD, far, EPOLLOUT));
    CHECK("it is writable", wait_for(epoll, 10));
    CHECK("for the end", control(epoll, EPOLL_CTL_MOD, far, EPOLLRDHUP));
    must("shutdown", shutdown(near, SHUT_WR));
    CHECK("the end", wait_for(epoll, 1000));
    close(far);
    CHECK("a closed one is forgotten", wait_for(epoll, 10));
    close(near);
    close(epoll);
}

static void errors(void)
{
    int near, far;
    struct epoll_event event;
    connection(&near, &far);
    int epoll = must("epoll_create1", epoll_create1(0));
    CHECK("epoll_create1 with no flag", epoll_create1(0x1000));
    CHECK("remove what is not there", control(epoll, EPOLL_CTL_DEL, near, 0));
    CHECK("change what is not there", control(epoll, EPOLL_CTL_MOD, near, EPOLLIN));
    CHECK("add it", control(epoll, EPOLL_CTL_ADD, near, EPOLLIN));
    CHECK("add it twice", control(epoll, EPOLL_CTL_ADD, near, EPOLLIN));
    int other = must("dup", dup(near));
    CHECK("add its dup", control(epoll, EPOLL_CTL_ADD, other, EPOLLIN));
    CHECK("add -1", control(epoll, EPOLL_CTL_ADD, -1, EPOLLIN));
    CHECK("add epoll to itself", control(epoll, EPOLL_CTL_ADD, epoll, EPOLLIN));
    CHECK("add to a socket", control(near, EPOLL_CTL_ADD, far, EPOLLIN));
    CHECK("no operation", control(epoll, 77, near, EPOLLIN));
    CHECK("wait for no room", epoll_wait(epoll, &event, 0, 0));
    CHECK("wait of a socket", epoll_wait(near, &event, 1, 0));
    int outer = must("epoll_create1", epoll_create1(0));
    CHECK("one in another", control(outer, EPOLL_CTL_ADD, epoll, EPOLLIN));
    CHECK("nested, nothing", wait_for(outer, 10));
    must("send", send(far, "x", 1, 0));
    CHECK("nested", wait_for(outer, 1000));
    close(outer);
    close(epoll);
    close(other);
    close(near);
    close(far);
}

void edges(void)
{
    modes();
    errors();
}
