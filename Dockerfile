# fdi with a PyTorch for the CPU, and the commands in the path:
#   docker build -t fdi .
#   docker run --rm --user "$(id -u):$(id -g)" -v "$PWD:/work" fdi fdi-run -m experiment=quickstart
FROM python:3.13-slim
COPY . /fdi
RUN pip install --no-cache-dir torch torchvision --index-url https://download.pytorch.org/whl/cpu \
    && pip install --no-cache-dir "/fdi[data,parallel,tensorboard]" \
    && rm -r /fdi
# where any --user may keep compiled kernels
ENV HOME=/tmp
WORKDIR /work
CMD ["fdi-run", "--help"]
