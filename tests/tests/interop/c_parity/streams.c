/* What is sent and received by streams. */
#include "parity.h"

static void receiving(void)
{
    int near, far;
    char text[16] = "";
    connection(&near, &far);
    CHECK("recv of nothing yet", recv(far, text, sizeof text, MSG_DONTWAIT));
    CHECK("send", send(near, "abcdef", 6, 0));
    await(far, POLLIN);
    CHECK("MSG_PEEK", recv(far, text, 3, MSG_PEEK));
    CHECK("MSG_PEEK again", recv(far, text, 6, MSG_PEEK));
    int count = -1;
    CHECK("FIONREAD", ioctl(far, FIONREAD, &count));
    CHECK("its value", count);
    CHECK("recv of 0 bytes", recv(far, text, 0, 0));
    CHECK("read of 0 bytes", read(far, text, 0));
    CHECK("recv", recv(far, text, 2, 0));
    CHECK("it is the first", memcmp(text, "ab", 2));
    CHECK("MSG_TRUNC drops", recv(far, NULL, 2, MSG_TRUNC));
    CHECK("read", read(far, text, sizeof text));
    CHECK("it is the last", memcmp(text, "ef", 2));
    CHECK("send of 0 bytes", send(near, "", 0, 0));
    CHECK("write of 0 bytes", write(near, "", 0));
    CHECK("send in two parts", send(near, "gh", 2, MSG_MORE) + send(near, "ij", 2, 0));
    CHECK("MSG_WAITALL", recv(far, text, 4, MSG_WAITALL));
    struct timeval time = {0, 30000};
    CHECK("SO_RCVTIMEO", setsockopt(far, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time));
    CHECK("recv, no longer than that", recv(far, text, 1, 0));
    must("send", send(near, "kl", 2, 0));
    await(far, POLLIN);
    CHECK("MSG_WAITALL, no longer than that", recv(far, text, 4, MSG_WAITALL));
    union address from;
    socklen_t length = sizeof from;
    must("send", send(near, "m", 1, 0));
    await(far, POLLIN);
    CHECK("recvfrom", recvfrom(far, text, 1, 0, &from.any, &length));
    CHECK("tells no address", length);
    CHECK("sendto, with an address", sendto(near, "n", 1, 0, &from.any, sizeof from.v4));
    await(far, POLLIN);
    CHECK("recv of that", recv(far, text, 4, 0));
    close(near);
    close(far);
}

static void vectors(void)
{
    int near, far;
    char first[2], second[8];
    static struct iovec many[1025];
    volatile int below = -1;
    connection(&near, &far);
    struct iovec out[] = {{"one", 3}, {"", 0}, {"four", 4}};
    struct iovec in[] = {{first, 2}, {second, 8}};
    CHECK("writev", writev(near, out, 3));
    await(far, POLLIN);
    CHECK("readv", readv(far, in, 2));
    CHECK("it is there", memcmp(first, "on", 2) || memcmp(second, "efour", 5));
    CHECK("writev of no parts", writev(near, out, 0));
    CHECK("writev of -1 parts", writev(near, out, below));
    CHECK("writev of too many parts", writev(near, many, 1025));
    CHECK("readv of no parts", readv(far, in, 0));
    CHECK("readv of -1 parts", readv(far, in, below));
    CHECK("readv of too many parts", readv(far, many, 1025));
    struct msghdr message = {.msg_iov = out, .msg_iovlen = 3};
    CHECK("sendmsg", sendmsg(near, &message, 0));
    await(far, POLLIN);
    union address from;
    message = (struct msghdr){.msg_iov = in, .msg_iovlen = 2};
    message.msg_name = &from, message.msg_namelen = sizeof from;
    CHECK("recvmsg", recvmsg(far, &message, 0));
    CHECK("its flags", message.msg_flags);
    CHECK("its name", message.msg_namelen);
    CHECK("its control", message.msg_controllen);
    message = (struct msghdr){.msg_iov = many, .msg_iovlen = 1025};
    CHECK("sendmsg of too many parts", sendmsg(near, &message, 0));
    CHECK("recvmsg of too many parts", recvmsg(far, &message, 0));
    close(near);
    close(far);
}

static void unconnected(void)
{
    char byte;
    int fd = must("socket", socket(AF_INET, SOCK_STREAM, 0));
    CHECK("send without a connection", send(fd, "x", 1, MSG_NOSIGNAL));
    CHECK("write without a connection", write(fd, "x", 1));
    CHECK("which raises", sigpipes());
    int file = must("a file", open("/proc/self/exe", O_RDONLY));
    CHECK("sendfile without a connection", sendfile(fd, file, NULL, 1));
    CHECK("which raises too", sigpipes());
    close(file);
    CHECK("recv without a connection", recv(fd, &byte, 1, 0));
    CHECK("read without a connection", read(fd, &byte, 1));
    CHECK("shutdown without a connection", shutdown(fd, SHUT_WR));
    CHECK("shutdown of no half", shutdown(fd, 3));
    close(fd);
}

void streams(void)
{
    receiving();
    vectors();
    unconnected();
}
