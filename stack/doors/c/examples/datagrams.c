/* datagrams CONFIG PORT: says datagrams back, many at a time, waiting with epoll. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <tapstack.h>

enum { MANY = 16, LONGEST = 65507 };

static char texts[MANY][LONGEST];
static struct sockaddr_in names[MANY];

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: datagrams CONFIG PORT\n");
        return 2;
    }
    if (tapstack_init(argv[1]) < 0) return 1;
    int fd = tapstack_socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[2]))};
    if (fd < 0 || tapstack_bind(fd, (struct sockaddr *)&any, sizeof any) < 0) {
        perror("datagrams");
        return 1;
    }
    int epoll = tapstack_epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN | EPOLLET}, found;
    tapstack_epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
    puts("ready");
    fflush(stdout);
    while (tapstack_epoll_wait(epoll, &found, 1, -1) >= 0) {
        for (;;) {
            struct iovec parts[MANY];
            struct mmsghdr messages[MANY];
            for (int i = 0; i < MANY; i++) {
                parts[i] = (struct iovec){texts[i], LONGEST};
                messages[i] = (struct mmsghdr){
                    .msg_hdr = {.msg_name = &names[i], .msg_namelen = sizeof names[i],
                                .msg_iov = &parts[i], .msg_iovlen = 1}};
            }
            int count = tapstack_recvmmsg(fd, messages, MANY, 0, NULL);
            if (count <= 0) break;
            for (int i = 0; i < count; i++) parts[i].iov_len = messages[i].msg_len;
            tapstack_sendmmsg(fd, messages, count, 0);
        }
    }
    perror("datagrams");
    return 1;
}
