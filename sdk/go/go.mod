module github.com/microsandbox/microsandbox-c/sdk/go

go 1.22
