# What `sam build` calls: build-GeoEnrichFunction compiles tasks/geo-enrich to $(ARTIFACTS_DIR)/bootstrap.
# SAM_ARCH must be the template's parameter Architecture: SAM_ARCH=x86_64 sam build
SAM_ARCH ?= arm64
GOARCH := $(if $(filter x86_64,$(SAM_ARCH)),amd64,$(SAM_ARCH))

build-%Function:
	CGO_ENABLED=0 GOOS=linux GOARCH=$(GOARCH) go build -tags lambda.norpc -trimpath -ldflags '-s -w' \
		-o $(ARTIFACTS_DIR)/bootstrap ./tasks/$$(echo $* | sed -E 's/([a-z])([A-Z])/\1-\2/g' | tr A-Z a-z)
