"""fc-connect: files go into and come out of Fluent Commerce, each exactly once."""
