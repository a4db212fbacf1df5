/* sendmsg, recvmsg and those for many at once: flags and control messages. */
#include "parity.h"
#include <sys/wait.h>

/* Receives a datagram; the word that its control message is about. */
static long told(int fd)
{
    char text[4], control[256];
    union address from;
    struct iovec part = {text, sizeof text};
    struct msghdr message = {.msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &part,
                             .msg_iovlen = 1, .msg_control = control,
                             .msg_controllen = sizeof control};
    await(fd, POLLIN);
    CHECK("recvmsg of a datagram", recvmsg(fd, &message, MSG_DONTWAIT));
    CHECK("MSG_TRUNC of it", message.msg_flags);
    CHECK("msg_namelen of it", message.msg_namelen);
    CHECK("msg_controllen of it", message.msg_controllen);
    struct cmsghdr *piece = CMSG_FIRSTHDR(&message);
    CHECK("there is a control message", piece != NULL);
    if (!piece)
        return -1;
    struct in_pktinfo info;
    memcpy(&info, CMSG_DATA(piece), sizeof info);
    CHECK("its level and type", piece->cmsg_level == IPPROTO_IP ? piece->cmsg_type : -1);
    CHECK("its length", piece->cmsg_len);
    return piece->cmsg_type == IP_PKTINFO ? info.ipi_addr.s_addr : (unsigned)info.ipi_ifindex;
}

static void control(void)
{
    union address address;
    int on = 1, off = 0;
    int fd = bound(SOCK_DGRAM, "0.0.0.0", &address);
    int from = must("socket", socket(AF_INET, SOCK_DGRAM, 0));
    at(&address, "127.0.0.1", ntohs(address.v4.sin_port));
    must("connect", connect(from, &address.any, sizeof address.v4));
    must("send", send(from, "plain", 5, 0));
    CHECK("without one", told(fd));
    must("IP_PKTINFO", setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on));
    must("send", send(from, "info", 4, 0));
    CHECK("the address that it was sent to", told(fd));
    must("IP_PKTINFO", setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &off, sizeof off));
    must("IP_RECVTTL", setsockopt(fd, IPPROTO_IP, IP_RECVTTL, &on, sizeof on));
    must("send", send(from, "ttl", 3, 0));
    CHECK("its time to live", told(fd));
    char text[4], room[20];
    struct iovec part = {text, sizeof text};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = room,
                             .msg_controllen = 8};
    must("send", send(from, "cut", 3, 0));
    await(fd, POLLIN);
    CHECK("recvmsg, little room for control", recvmsg(fd, &message, MSG_DONTWAIT));
    CHECK("MSG_CTRUNC", message.msg_flags);
    CHECK("msg_controllen then", message.msg_controllen);
    close(from);
    close(fd);
}

/* What a stream finds in the queue of errors: nothing. */
static void errors(void)
{
    int near, far, on = 1;
    char text[4];
    struct iovec part = {text, sizeof text};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    near = socket(AF_INET, SOCK_STREAM, 0);
    CHECK("MSG_ERRQUEUE of a new stream", recvmsg(near, &message, MSG_ERRQUEUE));
    close(near);
    connection(&near, &far);
    CHECK("MSG_ERRQUEUE of a stream", recvmsg(near, &message, MSG_ERRQUEUE));
    CHECK("IP_RECVERR of a stream", setsockopt(near, IPPROTO_IP, IP_RECVERR, &on, sizeof on));
    CHECK("MSG_ERRQUEUE with it", recvmsg(near, &message, MSG_ERRQUEUE));
    CHECK("to the stream", send(far, "abc", 3, 0));
    CHECK("is there", recv(near, text, 3, MSG_PEEK));
    CHECK("and is no error", recv(near, text, sizeof text, MSG_ERRQUEUE));
    CHECK("but text", recv(near, text, sizeof text, 0));
    close(near);
    close(far);
}

static void sent(void)
{
    union address address;
    int fd = bound(SOCK_DGRAM, "127.0.0.1", &address);
    char control[CMSG_SPACE(sizeof(int))] = "", text[8];
    struct iovec part = {"ttl", 3};
    struct msghdr message = {.msg_name = &address, .msg_namelen = sizeof address.v4,
                             .msg_iov = &part, .msg_iovlen = 1, .msg_control = control,
                             .msg_controllen = sizeof control};
    struct cmsghdr *piece = CMSG_FIRSTHDR(&message);
    piece->cmsg_level = IPPROTO_IP, piece->cmsg_type = IP_TTL;
    piece->cmsg_len = CMSG_LEN(sizeof(int));
    *(int *)CMSG_DATA(piece) = 9;
    CHECK("sendmsg with IP_TTL", sendmsg(fd, &message, 0));
    await(fd, POLLIN);
    CHECK("arrives", recv(fd, text, 8, MSG_DONTWAIT));
    *(int *)CMSG_DATA(piece) = 256;
    CHECK("sendmsg with IP_TTL of 256", sendmsg(fd, &message, 0));
    piece->cmsg_len = 4;
    CHECK("sendmsg with a short control message", sendmsg(fd, &message, 0));
    piece->cmsg_len = CMSG_LEN(sizeof(int)), piece->cmsg_type = 9999;
    CHECK("sendmsg with no control message", sendmsg(fd, &message, 0));
    message.msg_namelen = 8, message.msg_controllen = 0;
    CHECK("sendmsg to a short address", sendmsg(fd, &message, 0));
    message.msg_name = NULL, message.msg_namelen = 0;
    CHECK("sendmsg to nobody", sendmsg(fd, &message, 0));
    close(fd);
}

static void many(void)
{
    union address address;
    int fd = bound(SOCK_DGRAM, "127.0.0.1", &address);
    char texts[4][4];
    struct iovec out[3] = {{"a", 1}, {"bb", 2}, {"too long", 8}}, in[4];
    struct mmsghdr send[3] = {0}, found[4] = {0};
    for (int i = 0; i < 3; i++) {
        send[i].msg_hdr.msg_iov = &out[i], send[i].msg_hdr.msg_iovlen = 1;
        send[i].msg_hdr.msg_name = &address, send[i].msg_hdr.msg_namelen = sizeof address.v4;
    }
    for (int i = 0; i < 4; i++) {
        in[i] = (struct iovec){texts[i], 4};
        found[i].msg_hdr.msg_iov = &in[i], found[i].msg_hdr.msg_iovlen = 1;
    }
    CHECK("recvmmsg of none", recvmmsg(fd, found, 4, MSG_DONTWAIT, NULL));
    CHECK("sendmmsg", sendmmsg(fd, send, 3, 0));
    CHECK("msg_len sent", send[1].msg_len);
    usleep(100000);
    CHECK("recvmmsg", recvmmsg(fd, found, 4, MSG_WAITFORONE, NULL));
    CHECK("msg_len received", found[1].msg_len);
    CHECK("msg_len of what was cut", found[2].msg_len);
    CHECK("msg_flags of what was cut", found[2].msg_hdr.msg_flags);
    send[1].msg_hdr.msg_name = NULL, send[1].msg_hdr.msg_namelen = 0;
    CHECK("sendmmsg, the second to nobody", sendmmsg(fd, send, 3, 0));
    CHECK("sendmmsg of none", sendmmsg(fd, send, 0, 0));
    CHECK("recvmmsg of no room", recvmmsg(fd, found, 0, 0, NULL));
    close(fd);
}

/* Arrays that are not there, or too long. */
static void arrays(void)
{
    static struct mmsghdr all[1025];
    union address address;
    int fd = bound(SOCK_DGRAM, "127.0.0.1", &address);
    struct iovec part = {"x", 1};
    struct msghdr nowhere = {.msg_iov = NULL, .msg_iovlen = 1};
    CHECK("recvmmsg of no room at all", recvmmsg(fd, NULL, 0, MSG_DONTWAIT, NULL));
    CHECK("recvmmsg without an array", recvmmsg(fd, NULL, 1, MSG_DONTWAIT, NULL));
    CHECK("sendmmsg of none at all", sendmmsg(fd, NULL, 0, 0));
    CHECK("sendmmsg without an array", sendmmsg(fd, NULL, 1, 0));
    CHECK("recvmsg without parts", recvmsg(fd, &nowhere, MSG_DONTWAIT));
    nowhere.msg_name = &address, nowhere.msg_namelen = sizeof address.v4;
    CHECK("sendmsg without parts", sendmsg(fd, &nowhere, 0));
    for (int i = 0; i < 1025; i++)
        all[i].msg_hdr = (struct msghdr){.msg_name = &address, .msg_namelen = sizeof address.v4,
                                         .msg_iov = &part, .msg_iovlen = 1};
    CHECK("sendmmsg of 1025", sendmmsg(fd, all, 1025, 0));
    close(fd);
}

/* What a child does after a while. */
enum act { SEND, RESET };

static pid_t later(enum act act, int fd)
{
    pid_t child = must("fork", fork());
    if (child == 0) {
        struct linger at_once = {1, 0};
        usleep(200000);
        if (act == SEND)
            _exit(send(fd, "d", 1, 0) != 1);
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        _exit(close(fd) != 0);
    }
    return child;
}

/* Room for four messages of four bytes. */
static struct mmsghdr *room(void)
{
    static char texts[4][4];
    static struct iovec in[4];
    static struct mmsghdr found[4];
    for (int i = 0; i < 4; i++) {
        in[i] = (struct iovec){texts[i], 4};
        found[i].msg_hdr = (struct msghdr){.msg_iov = &in[i], .msg_iovlen = 1};
    }
    return found;
}

static void in_time(void)
{
    union address address;
    int fd = bound(SOCK_DGRAM, "127.0.0.1", &address);
    int from = must("socket", socket(AF_INET, SOCK_DGRAM, 0));
    struct timespec long_one = {0, 1000000000}, past = {-1, 0};
    struct timespec none = {0, 0}, little = {0, 50000000}, much = {5, 0};
    must("connect", connect(from, &address.any, sizeof address.v4));
    CHECK("recvmmsg, a long nanosecond", recvmmsg(fd, room(), 4, MSG_DONTWAIT, &long_one));
    CHECK("recvmmsg, time in the past", recvmmsg(fd, room(), 4, MSG_DONTWAIT, &past));
    CHECK("recvmmsg of none in time", recvmmsg(fd, room(), 4, MSG_DONTWAIT, &much));
    CHECK("leaves all of it", much.tv_sec * 10 + much.tv_nsec);
    must("send", send(from, "a", 1, 0));
    must("send", send(from, "b", 1, 0));
    await(fd, POLLIN);
    CHECK("recvmmsg in no time", recvmmsg(fd, room(), 4, 0, &none));
    await(fd, POLLIN);
    CHECK("recvmmsg in much time", recvmmsg(fd, room(), 4, MSG_WAITFORONE, &much));
    CHECK("leaves most of it", much.tv_sec);
    must("send", send(from, "c", 1, 0));
    await(fd, POLLIN);
    pid_t child = later(SEND, from);
    CHECK("recvmmsg in little time", recvmmsg(fd, room(), 4, 0, &little));
    CHECK("leaves none of it", little.tv_sec + little.tv_nsec);
    waitpid(child, NULL, 0);
    close(from);
    close(fd);
}

/* What fails after the first message is told by the next call. */
static void failing(void)
{
    union address address, peer;
    char text[1];
    int near, far, fd = bound(SOCK_DGRAM, "127.0.0.1", &address);
    int gone = bound(SOCK_DGRAM, "127.0.0.1", &peer);
    must("connect", connect(fd, &peer.any, sizeof peer.v4));
    must("sendto", sendto(gone, "a", 1, 0, &address.any, sizeof address.v4));
    await(fd, POLLIN);
    close(gone);
    pid_t child = later(SEND, fd);
    CHECK("recvmmsg, refused after the first", recvmmsg(fd, room(), 4, 0, NULL));
    waitpid(child, NULL, 0);
    CHECK("recv then", recv(fd, text, 1, MSG_DONTWAIT));
    CHECK("recv after that", recv(fd, text, 1, MSG_DONTWAIT));
    close(fd);
    connection(&near, &far);
    must("send", send(far, "abc", 3, 0));
    await(near, POLLIN);
    child = later(RESET, far);
    close(far);
    CHECK("recvmmsg, reset after the first", recvmmsg(near, room(), 4, 0, NULL));
    waitpid(child, NULL, 0);
    CHECK("recv of it then", recv(near, text, 1, MSG_DONTWAIT));
    CHECK("recv of it after that", recv(near, text, 1, MSG_DONTWAIT));
    close(near);
}

void messages(void)
{
    control();
    errors();
    sent();
    many();
    arrays();
    in_time();
    failing();
}
