/* passed: descriptors that pass through a Unix socket whose number was a stream's, and one whose
 * number was a file's, both closed where no preload sees it. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static struct sockaddr_in here = {.sin_family = AF_INET};

static void pass(int through, int fd) {
    char text = 'x', control[CMSG_SPACE(sizeof(int))] = "";
    struct iovec part = {&text, 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control,
                             .msg_controllen = sizeof control};
    struct cmsghdr *piece = CMSG_FIRSTHDR(&message);
    piece->cmsg_level = SOL_SOCKET, piece->cmsg_type = SCM_RIGHTS;
    piece->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(piece), &fd, sizeof fd);
    if (sendmsg(through, &message, 0) != 1)
        perror("sendmsg");
}

static int passed(int through) {
    char text, control[CMSG_SPACE(sizeof(int))];
    struct iovec part = {&text, 1};
    struct mmsghdr message = {.msg_hdr = {.msg_iov = &part, .msg_iovlen = 1,
                                          .msg_control = control,
                                          .msg_controllen = sizeof control}};
    int fd = -1;
    if (recvmmsg(through, &message, 1, 0, NULL) != 1)
        perror("recvmmsg");
    struct cmsghdr *piece = CMSG_FIRSTHDR(&message.msg_hdr);
    if (piece)
        memcpy(&fd, CMSG_DATA(piece), sizeof fd);
    return fd;
}

/* The number of a stream that has been used. */
static int used_stream(void) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&here, sizeof here) < 0 || write(fd, "x", 1) != 1)
        perror("connect");
    fclose(fdopen(fd, "r+"));
    return fd;
}

static int used_file(void) {
    char byte;
    FILE *file = fopen("/dev/zero", "r");
    int fd = fileno(file);
    if (read(fd, &byte, 1) != 1)
        perror("read");
    fclose(file);
    return fd;
}

int main(void) {
    struct sockaddr_un there = {.sun_family = AF_UNIX, .sun_path = "there"};
    struct sockaddr_in address;
    socklen_t length = sizeof here;
    int ends[2], both[2];
    char byte;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    inet_pton(AF_INET, "192.0.2.2", &here.sin_addr);
    bind(listener, (struct sockaddr *)&here, length);
    listen(listener, 5);
    getsockname(listener, (struct sockaddr *)&here, &length);
    int receiver = socket(AF_UNIX, SOCK_DGRAM, 0);
    bind(receiver, (struct sockaddr *)&there, sizeof there);
    int number = used_stream();
    socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
    pass(ends[0], listener);
    printf("the same number: %d\n", ends[0] == number);
    printf("something has passed: %d\n", passed(ends[1]) >= 0);
    number = used_file();
    pass(ends[0], listener);
    int fd = passed(ends[1]);
    length = sizeof address;
    getsockname(fd, (struct sockaddr *)&address, &length);
    printf("the same number: %d\n", fd == number);
    printf("it is known: %d\n", memcmp(&address, &here, sizeof here) == 0);
    number = used_stream();
    socketpair(AF_UNIX, SOCK_DGRAM, 0, both);
    printf("the same number: %d\n", both[0] == number);
    length = sizeof there;
    printf("sent: %zd\n", sendto(both[0], "x", 1, 0, (struct sockaddr *)&there, length));
    printf("arrives: %zd\n", recv(receiver, &byte, 1, MSG_DONTWAIT));
    return 0;
}
